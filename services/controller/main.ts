import { runMain } from '@kubervisor/runtime/main/run-main';
import { controllerSettings, startController } from './service.ts';

await runMain('controller', controllerSettings, startController);
