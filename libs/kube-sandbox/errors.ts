/** What the API server refuses, as `Status` objects with the codes, reasons and wording that clients look at. */
import type { Fields } from './objects.ts';

export interface Cause {
  reason: string;
  message: string;
  field?: string;
}

export interface Status {
  kind: 'Status';
  apiVersion: 'v1';
  metadata: Fields;
  status: 'Success' | 'Failure';
  message?: string;
  reason?: string;
  details?: Fields;
  code: number;
}

/** A refusal; the server answers it as a `Status`. */
export class ApiError extends Error {
  readonly code: number;
  readonly reason: string;
  readonly details: Fields | undefined;

  constructor(code: number, reason: string, message: string, details?: Fields) {
    super(message);
    this.code = code;
    this.reason = reason;
    this.details = details;
  }

  get status(): Status {
    return {
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Failure',
      message: this.message,
      reason: this.reason,
      ...(this.details !== undefined && { details: this.details }),
      code: this.code,
    };
  }
}

/** What an error needs to know about a kind. */
export interface Named {
  group: string;
  plural: string;
  kind: string;
}

const resource = ({ group, plural }: Named) => (group === '' ? plural : `${plural}.${group}`);
const kindName = ({ group, kind }: Named) => (group === '' ? kind : `${kind}.${group}`);
const detailsOf = (kind: Named, name: string, causes?: Cause[]): Fields => ({
  name,
  ...(kind.group !== '' && { group: kind.group }),
  kind: kind.plural,
  ...(causes !== undefined && { causes }),
});

export const badRequest = (message: string) => new ApiError(400, 'BadRequest', message);
export const forbidden = (kind: Named, name: string, message: string, causes?: Cause[]) =>
  new ApiError(403, 'Forbidden', `${resource(kind)} "${name}" is forbidden: ${message}`, detailsOf(kind, name, causes));
export const notFound = (kind: Named, name: string) =>
  new ApiError(404, 'NotFound', `${resource(kind)} "${name}" not found`, detailsOf(kind, name));
export const noSuchPath = () => new ApiError(404, 'NotFound', 'the server could not find the requested resource', {});
export const methodNotAllowed = () =>
  new ApiError(405, 'MethodNotAllowed', 'the server does not allow this method on the requested resource', {});
export const alreadyExists = (kind: Named, name: string) =>
  new ApiError(409, 'AlreadyExists', `${resource(kind)} "${name}" already exists`, detailsOf(kind, name));
export const conflict = (kind: Named, name: string, why: string) =>
  new ApiError(
    409,
    'Conflict',
    `Operation cannot be fulfilled on ${resource(kind)} "${name}": ${why}`,
    detailsOf(kind, name),
  );
export const STALE = 'the object has been modified; please apply your changes to the latest version and try again';
export const expired = (message: string) => new ApiError(410, 'Expired', message);
export const unsupportedMediaType = (given: string, allowed: string) =>
  new ApiError(
    415,
    'UnsupportedMediaType',
    `the body of the request was in an unknown format - accepted media types include: ${allowed} (given: ${given})`,
  );
export const invalid = (kind: Named, name: string, causes: Cause[]) =>
  new ApiError(
    422,
    'Invalid',
    `${kindName(kind)} "${name}" is invalid: ${causes.map(({ field, message }) => (field === undefined ? message : `${field}: ${message}`)).join(', ')}`,
    { ...detailsOf(kind, name, causes), kind: kind.kind },
  );
/** Faults of a JSON patch, a failed `test` among them. */
export const unprocessablePatch = (message: string) =>
  new ApiError(422, 'Invalid', `the server rejected our request due to an error in our request: ${message}`, {});
export const tooManyRequests = (message: string, retryAfterSeconds?: number, causes?: Cause[]) =>
  new ApiError(429, 'TooManyRequests', message, {
    ...(causes !== undefined && { causes }),
    ...(retryAfterSeconds !== undefined && { retryAfterSeconds }),
  });
export const internalError = (message: string) =>
  new ApiError(500, 'InternalError', `Internal error occurred: ${message}`, {
    causes: [{ reason: 'InternalError', message }],
  });

export const success = (details?: Fields): Status => ({
  kind: 'Status',
  apiVersion: 'v1',
  metadata: {},
  status: 'Success',
  ...(details !== undefined && { details }),
  code: 200,
});
