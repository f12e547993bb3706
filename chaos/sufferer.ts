/**
 * Whatever may be killed and frozen: a process of ours, a server. Faults overlap, so each is a wish with an end, and it is brought to what
 * all wishes of the moment ask for, one step at a time.
 */
export interface Body {
  /** `gently`: it is asked to end. */
  kill(gently: boolean): Promise<void>;
  start(): Promise<void>;
  freeze(): void;
  thaw(): void;
}

/** `ended`: dead, but in order. */
export type Wish = 'dead' | 'ended' | 'frozen';
export type State = 'dead' | 'frozen' | 'well';

export interface Sufferer {
  readonly name: string;
  /** Neither dead nor frozen, nor on the way to it. */
  readonly isWell: boolean;
  /** Resolves when it is so. What it answers takes the wish back, and resolves when it is again as the others ask for. */
  suffer(wish: Wish): Promise<() => Promise<void>>;
  /** Tries again what failed; rejects where it fails for good. */
  settle(): Promise<void>;
  /** At once, in the middle of whatever it does. */
  freezeNow(): () => Promise<void>;
}

const TRIES = 5;

/** `changed`: told before it suffers and after it is well again. */
export function sufferer(name: string, body: Body, changed: (state: State) => void): Sufferer {
  const wishes: Wish[] = [];
  let state: State = 'well';
  let working = Promise.resolve();

  const start = async (): Promise<void> => {
    for (let tries = 1; ; tries++) {
      try {
        return await body.start();
      } catch (error) {
        // It may lean on another that is down just now.
        if (tries === TRIES) throw error;
      }
    }
  };
  const come = async (): Promise<void> => {
    const isOver = wishes.some((wish) => wish !== 'frozen');
    const wanted: State = isOver ? 'dead' : wishes.includes('frozen') ? 'frozen' : 'well';
    if (wanted === state) return;
    if (state === 'dead') {
      await start();
      state = 'well';
      if (wanted === 'well') changed('well');
      return come();
    }
    if (wanted !== 'well') changed(wanted);
    if (wanted === 'dead') await body.kill(!wishes.includes('dead') && state === 'well');
    else if (wanted === 'frozen') body.freeze();
    else body.thaw();
    state = wanted;
    if (wanted === 'well') changed('well');
  };
  /** One after the other; a step that failed is not the end of the others. */
  const work = (): Promise<void> => (working = working.catch(() => {}).then(come));
  const takeBack = (wish: Wish) => async (): Promise<void> => {
    const index = wishes.indexOf(wish);
    if (index >= 0) wishes.splice(index, 1);
    await work();
  };

  return {
    name,
    get isWell() {
      return state === 'well' && wishes.length === 0;
    },
    async suffer(wish) {
      wishes.push(wish);
      await work();
      let isOver = false;
      return async () => {
        if (isOver) return;
        isOver = true;
        await takeBack(wish)();
      };
    },
    settle: work,
    freezeNow() {
      wishes.push('frozen');
      if (state === 'well') {
        changed('frozen');
        body.freeze();
        state = 'frozen';
      }
      return takeBack('frozen');
    },
  };
}
