import type * as z from 'zod';
import type { natsSettings } from '../config.ts';
import type { NatsSettings } from './connection.ts';

type Environment = z.output<z.ZodObject<typeof natsSettings>>;

/** The checked environment as `connectBus` takes it; `name` is what the server shows among its connections. */
export const natsSettingsOf = (config: Environment, name: string): NatsSettings => ({
  url: config.NATS_URL,
  name,
  ...(config.NATS_CREDS !== undefined && { credsFile: config.NATS_CREDS }),
  ...(config.NATS_CA !== undefined && { caFile: config.NATS_CA }),
  ...(config.NATS_CERT !== undefined && { certFile: config.NATS_CERT }),
  ...(config.NATS_KEY !== undefined && { keyFile: config.NATS_KEY }),
  ...(config.NATS_USER !== undefined && { user: config.NATS_USER }),
  ...(config.NATS_PASSWORD_FILE !== undefined && { passwordFile: config.NATS_PASSWORD_FILE }),
});
