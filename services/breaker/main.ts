import { runMain } from '@kubervisor/runtime/main/run-main';
import { breakerConfig, startBreaker } from './service.ts';

await runMain('breaker', breakerConfig, startBreaker);
