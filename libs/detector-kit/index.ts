/** What a team needs to write a detector plug-in (contract v1). For its tests: `@kubervisor/detector-kit/testing`. */
export { defineDetector, type Detector, type DetectorDefinition, type Question } from './define-detector.ts';
export type { JudgedPod, Outcome, Verdict } from '@kubervisor/shared/detection/contract';
