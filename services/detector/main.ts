import { listen } from '@kubervisor/runtime/http/server';
import { runMain } from '@kubervisor/runtime/main/run-main';
import { createDetectorService, settings } from './service.ts';

await runMain('detector', settings, async (config, { log, metrics }) => {
  const service = await createDetectorService(config, { log, metrics });
  log.info({ url: await listen(service.server, config) }, 'listening');
  return service;
});
