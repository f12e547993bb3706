import { runMain } from '@kubervisor/runtime/main/run-main';
import { detectorConfig, startDetector } from './service.ts';

await runMain('detector', detectorConfig, startDetector);
