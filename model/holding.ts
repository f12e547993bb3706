/** The message that is in the hands of whoever runs: it follows a worker through all its awaits. */
import { AsyncLocalStorage } from 'node:async_hooks';
import type { Holder } from './observer.ts';

export const holding = new AsyncLocalStorage<Holder>();
