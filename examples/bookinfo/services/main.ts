// node examples/bookinfo/services/main.ts NAME PORT: runs one service of the bookstore. NAME: productpage, details,
// reviews-v1, reviews-v2, reviews-v3 or ratings. DETAILS, REVIEWS, RATINGS: the URLs of the services that it calls.
import { detailsRoutes } from './details.ts';
import { serve, type Route } from './http.ts';
import { productpageRoutes } from './productpage.ts';
import { ratingsRoutes } from './ratings.ts';
import { reviewsRoutes, type ReviewsVersion } from './reviews.ts';

const { DETAILS = '', REVIEWS = '', RATINGS = '' } = process.env;
const [name = '', port = ''] = process.argv.slice(2);

function routes(): readonly Route[] | undefined {
  switch (name) {
    case 'productpage':
      return productpageRoutes({ details: DETAILS, reviews: REVIEWS, ratings: RATINGS });
    case 'details':
      return detailsRoutes();
    case 'ratings':
      return ratingsRoutes();
    case 'reviews-v1':
    case 'reviews-v2':
    case 'reviews-v3':
      return reviewsRoutes(name.slice(-2) as ReviewsVersion, RATINGS);
    default:
      return undefined;
  }
}

const found = routes();
if (found === undefined || !/^\d+$/.test(port)) {
  console.error('usage: node main.ts productpage|details|reviews-v1|reviews-v2|reviews-v3|ratings PORT');
  process.exit(2);
}
const server = await serve(Number(port), found);
const end = (): void => {
  server.close();
  server.closeAllConnections();
};
process.on('SIGINT', end);
process.on('SIGTERM', end);
