/**
 * The controller, wired: watches that every replica keeps warm, and what the leader alone does with them (shell/leadership.ts). Losing
 * the lease ends the latter at once.
 */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import {
  flag,
  httpSettings,
  integer,
  kubernetesSettings,
  label,
  list,
  natsConnection,
  natsSettings,
} from '@kubervisor/runtime/config';
import { createHttpServer, listen } from '@kubervisor/runtime/http/server';
import { connectKubernetes } from '@kubervisor/runtime/kubernetes/client';
import { installCrd } from '@kubervisor/runtime/kubernetes/crd';
import { createEventRecorder } from '@kubervisor/runtime/kubernetes/events';
import { electLeader } from '@kubervisor/runtime/kubernetes/lease';
import type { MainDependencies, Running } from '@kubervisor/runtime/main/run-main';
import { connectBus } from '@kubervisor/runtime/nats/bus';
import { crdManifest } from '@kubervisor/shared/crd/manifest';
import * as z from 'zod';
import { controllerMetrics } from './metrics.ts';
import { watchCluster } from './shell/caches.ts';
import { lead, type Leadership } from './shell/leadership.ts';

export const controllerSettings = z.object({
  ...httpSettings,
  ...natsSettings,
  ...kubernetesSettings,
  WATCH_NAMESPACES: list('namespaces', /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/)
    .optional()
    .describe('namespaces to watch; empty: the whole cluster'),
});
