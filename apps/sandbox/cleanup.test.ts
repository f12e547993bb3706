import { expect, jest, test } from '@jest/globals';
import { Cleanup } from './cleanup.ts';

test('undoes in the reverse order, one after the other, once', async () => {
  const done: string[] = [];
  const cleanup = new Cleanup();
  cleanup.add(() => done.push('folder'));
  cleanup.add(async () => {
    await Promise.resolve();
    done.push('server in it');
  });
  await Promise.all([cleanup.run(), cleanup.run()]);
  expect(done).toEqual(['server in it', 'folder']);
});

test('a step that fails is told, and keeps none of the others from being done', async () => {
  const told = jest.spyOn(process.stderr, 'write').mockReturnValue(true);
  const done: string[] = [];
  const cleanup = new Cleanup();
  cleanup.add(() => done.push('first'));
  cleanup.add(() => Promise.reject(new Error('gone already')));
  await cleanup.run();
  expect(done).toEqual(['first']);
  expect(told).toHaveBeenCalledWith('while cleaning up: gone already\n');
  told.mockRestore();
});

test('what is started while it runs does not outlive it', async () => {
  const cleanup = new Cleanup();
  await cleanup.run();
  const done: string[] = [];
  cleanup.add(() => done.push('late'));
  expect(done).toEqual(['late']);
});
