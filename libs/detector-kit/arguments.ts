/** What a person says to `detector-kit`. */
import { parseArgs } from 'node:util';

export const HELP = `Usage: npx @kubervisor/detector-kit check URL [options]

Asks a running detector plug-in, in whatever language, all that contract v1 obliges it to, and says in words what does not hold: what was sent,
what came back, what is to be done. URL is what a resource names as detector.url, without /v1/verdicts.

  --parameters JSON|FILE  as in the resource; needed where the plug-in's schema takes neither none nor its examples and defaults
  --timeout SECONDS       for an answer, as timeoutSeconds of the resource: 0.1 to 60 (5)
  --json                  one JSON object on stdout
  -h, --help              this text

Exits 0 if all that must hold does, 1 if something does not, 2 if not all could be checked for want of parameters, or on bad arguments.`;

export class UsageError extends Error {}

export interface Arguments {
  url: string;
  parameters?: Record<string, unknown>;
  timeoutMilliseconds: number;
  json: boolean;
}

/** Undefined: help was asked for. `read`: the text of a file. */
export function readArguments(words: string[], read: (file: string) => string): Arguments | undefined {
  const { values, positionals } = parse(words);
  if (values.help) return undefined;
  const [command, url, ...more] = positionals;
  if (command !== 'check') throw new UsageError(command ? `there is no command ${command}, only check` : 'check what?');
  if (url === undefined) throw new UsageError('check needs the URL of the plug-in, such as http://127.0.0.1:8080');
  if (more.length > 0) throw new UsageError(`one URL at a time: ${more.join(' ')}`);
  const seconds = Number(values.timeout);
  if (!(seconds >= 0.1 && seconds <= 60)) {
    throw new UsageError(`--timeout ${values.timeout}: must be a number of seconds from 0.1 to 60`);
  }
  return {
    url: readUrl(url),
    ...(values.parameters !== undefined && { parameters: readParameters(values.parameters, read) }),
    timeoutMilliseconds: Math.round(seconds * 1000),
    json: values.json,
  };
}

function parse(words: string[]) {
  try {
    return parseArgs({
      args: words,
      allowPositionals: true,
      options: {
        parameters: { type: 'string' },
        timeout: { type: 'string', default: '5' },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false, short: 'h' },
      },
    });
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

/** As a resource may have it. */
function readUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol)) {
    throw new UsageError(`${text}: must be a URL with http:// or https://, such as http://127.0.0.1:8080`);
  }
  if (url.username !== '' || url.password !== '') throw new UsageError('the URL must not hold a user or a password');
  if (url.search !== '' || url.hash !== '') throw new UsageError(`${text}: must not have a query or a fragment`);
  if (/\/v1\/verdicts\/*$/.test(url.pathname)) throw new UsageError(`${text}: leave out /v1/verdicts`);
  return url.href;
}

function readParameters(text: string, read: (file: string) => string): Record<string, unknown> {
  const isJson = text.trimStart().startsWith('{');
  const problem = (why: string) => new UsageError(`--parameters ${text}: ${why}`);
  let json: string;
  try {
    json = isJson ? text : read(text);
  } catch {
    throw problem('is neither a JSON object nor a file that can be read');
  }
  try {
    const parameters = JSON.parse(json) as unknown;
    if (typeof parameters === 'object' && parameters !== null && !Array.isArray(parameters)) {
      return parameters as Record<string, unknown>;
    }
  } catch {
    throw problem(`${isJson ? 'is' : 'holds'} no JSON`);
  }
  throw problem('must be a JSON object');
}
