import { runMain } from '@kubervisor/runtime/main/run-main';
import { activatorConfig, startActivator } from './service.ts';

await runMain('activator', activatorConfig, startActivator);
