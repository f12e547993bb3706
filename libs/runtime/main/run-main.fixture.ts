/** A service for run-main.test.ts; BEHAVIOUR chooses how it misbehaves. */
import * as z from 'zod';
import { httpSettings, integer, ConfigError } from '../config.ts';
import { runMain } from './run-main.ts';

const behaviour = process.env['BEHAVIOUR'];

await runMain('fixture', z.object({ ...httpSettings, REQUIRED: integer(1, 9) }), async (config, { log, identity }) => {
  if (behaviour === 'bad file') throw new ConfigError(['SOURCES: "x.yaml", must be readable']);
  if (behaviour === 'start fails') throw new Error('start is broken');
  const alive = setInterval(() => undefined, 1000);
  if (behaviour === 'rejects') setTimeout(() => void Promise.reject(new Error('left alone')), 1);
  if (behaviour === 'throws') {
    setTimeout(() => {
      throw new Error('out of nowhere');
    }, 1);
  }
  log.info({ required: config.REQUIRED, identity }, 'up');
  return {
    stop: async () => {
      if (behaviour === 'hangs') await new Promise(() => undefined);
      clearInterval(alive);
      log.info('put away');
    },
  };
});
