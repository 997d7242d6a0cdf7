import { dumpSections, type DumpElement, type DumpList, type DumpSection } from '../dump-sections.ts';
import { FieldMask } from '../field-mask.ts';
import { JSON_TYPE, type AdminPage, type AdminResponse } from '../page.ts';
import { jsonList, LazyList } from './json-list.ts';
import { re2Error } from './stats.ts';
import { compileRe2 } from '../../lib/re2.ts';

const TYPE_PREFIX = 'type.googleapis.com/envoy.admin.v3.';

/** Envoy's texts here have a content type of their own. */
const problem = (status: number, body: string): AdminResponse => ({ status, contentType: 'text/plain', body });

export const configDumpPage: AdminPage = {
  path: '/config_dump',
  help: 'dump current configs',
  mutates: false,
  params: [
    { name: 'resource', help: 'The resource to dump', kind: 'text' },
    {
      name: 'mask',
      help: 'The mask to apply. When both resource and mask are specified, the mask is applied to every element in the desired repeated field so that only a subset of fields are returned. The mask is parsed as a Protobuf::FieldMask',
      kind: 'text',
    },
    {
      name: 'name_regex',
      help: 'Dump only the currently loaded configurations whose names match the specified regex. Can be used with both resource and mask query parameters.',
      kind: 'text',
    },
    {
      name: 'include_eds',
      help: 'Dump currently loaded configuration including EDS. See the response definition for more information',
      kind: 'flag',
    },
  ],
  handle({ query }, { configDump }) {
    const nameRegex = query.get('name_regex') ?? '';
    let wanted: (name: string) => boolean = () => true;
    if (nameRegex !== '') {
      try {
        const regex = compileRe2(nameRegex);
        wanted = (name) => regex.matches(name);
      } catch (error) {
        return problem(400, `INVALID_ARGUMENT: Error while parsing name_regex from ${nameRegex}: ${re2Error(error)}`);
      }
    }
    const maskText = query.get('mask') ?? '';
    const mask = maskText === '' ? undefined : new FieldMask(maskText);
    const sections = dumpSections(configDump, query.has('include_eds'));
    const resource = query.get('resource') ?? '';
    return resource === '' ? dumpAll(sections, mask, wanted) : dumpOne(sections, resource, mask, wanted);
  },
};

function dumpAll(
  sections: readonly DumpSection[],
  mask: FieldMask | undefined,
  wanted: (name: string) => boolean,
): AdminResponse {
  const shown =
    mask === undefined
      ? sections
      : sections.filter(({ lists, singularFields }) =>
          mask.fits({ ...singularFields, ...Object.fromEntries(lists.map(({ field }) => [field, undefined])) }),
        );
  if (mask !== undefined && shown.length === 0)
    return problem(400, `FieldMask ${mask.text} could not be successfully applied to any configs.`);
  return { status: 200, contentType: JSON_TYPE, body: jsonList('configs', sectionJsons(shown, mask, wanted)) };
}

function* sectionJsons(
  sections: readonly DumpSection[],
  mask: FieldMask | undefined,
  wanted: (name: string) => boolean,
): Generator<object, void, void> {
  for (const section of sections) {
    const json: Record<string, unknown> = { '@type': TYPE_PREFIX + section.type, ...section.singular() };
    for (const { field, elements } of section.lists) {
      json[field] = new LazyList(jsonsOf(matching(elements, wanted)));
    }
    yield mask === undefined ? json : mask.apply(json);
  }
}

function dumpOne(
  sections: readonly DumpSection[],
  resource: string,
  mask: FieldMask | undefined,
  wanted: (name: string) => boolean,
): AdminResponse {
  for (const { lists, singularFields } of sections) {
    if (Object.hasOwn(singularFields, resource))
      return problem(400, `${resource} is not a repeated field. Use ?mask=${resource} to get only this field`);
    const list = lists.find(({ field }) => field === resource);
    if (list === undefined) continue;
    if (mask !== undefined && !mask.fits(list.fieldsOf()))
      return problem(400, `FieldMask ${mask.text} could not be successfully used.`);
    return { status: 200, contentType: JSON_TYPE, body: jsonList('configs', elementJsons(list, mask, wanted)) };
  }
  return problem(404, `${resource} not found in config dump`);
}

function* elementJsons(
  { type, elements }: DumpList,
  mask: FieldMask | undefined,
  wanted: (name: string) => boolean,
): Generator<object, void, void> {
  for (const element of matching(elements, wanted)) {
    const json = { '@type': TYPE_PREFIX + type, ...element.json() };
    yield mask === undefined ? json : mask.apply(json);
  }
}

function* matching(
  elements: Iterable<DumpElement>,
  wanted: (name: string) => boolean,
): Generator<DumpElement, void, void> {
  for (const element of elements) if (wanted(element.name)) yield element;
}

function* jsonsOf(elements: Iterable<DumpElement>): Generator<object, void, void> {
  for (const element of elements) yield element.json();
}
