import { expect, test } from '@jest/globals';
import { sufferer } from './sufferer.ts';

function aBody() {
  const done: string[] = [];
  const told: string[] = [];
  let fails = 0;
  const suffers = sufferer(
    'breaker-0',
    {
      kill: async (gently) => void done.push(gently ? 'end' : 'kill'),
      async start() {
        if (fails-- > 0) throw new Error('not yet');
        done.push('start');
      },
      freeze: () => void done.push('freeze'),
      thaw: () => void done.push('thaw'),
    },
    (state) => void told.push(state),
  );
  return { done, told, suffers, failing: (times: number) => (fails = times) };
}

test('faults that overlap end when the last of them ends', async () => {
  const { suffers, done, told } = aBody();
  const one = await suffers.suffer('frozen');
  const other = await suffers.suffer('frozen');
  await one();
  expect(suffers.isWell).toBe(false);
  await other();
  expect({ done, told, well: suffers.isWell }).toEqual({
    done: ['freeze', 'thaw'],
    told: ['frozen', 'well'],
    well: true,
  });
});

test('what is killed while it stands still is frozen again when it is back before that is over', async () => {
  const { suffers, done } = aBody();
  const thaw = await suffers.suffer('frozen');
  const revive = await suffers.suffer('dead');
  await revive();
  expect(done).toEqual(['freeze', 'kill', 'start', 'freeze']);
  await thaw();
  expect(done.at(-1)).toBe('thaw');
});

test('undone twice it is undone once', async () => {
  const { suffers, done } = aBody();
  const one = await suffers.suffer('dead');
  await suffers.suffer('dead');
  await one();
  await one();
  expect(done).toEqual(['kill']);
});

test('a stop at the worst moment is done when the call returns', async () => {
  const { suffers, done } = aBody();
  const thaw = suffers.freezeNow();
  expect(done).toEqual(['freeze']);
  await thaw();
  expect(done).toEqual(['freeze', 'thaw']);
});

test('one that could not be started is dead until it can, and the faults after that are not lost', async () => {
  const { suffers, done, failing } = aBody();
  const undo = await suffers.suffer('dead');
  failing(5);
  await expect(undo()).rejects.toThrow('not yet');
  expect(suffers.isWell).toBe(false);
  await suffers.settle();
  expect({ done, well: suffers.isWell }).toEqual({ done: ['kill', 'start'], well: true });
  await (
    await suffers.suffer('frozen')
  )();
  expect(done.slice(2)).toEqual(['freeze', 'thaw']);
});

test('an end in order; and a start that fails, for what it leans on is down, is tried again', async () => {
  const { suffers, done, failing } = aBody();
  const undo = await suffers.suffer('ended');
  failing(3);
  await undo();
  expect(done).toEqual(['end', 'start']);
});
