import { runMain } from '@kubervisor/runtime/main/run-main';
import { controllerConfig, startController } from './service.ts';

await runMain('controller', controllerConfig, startController);
