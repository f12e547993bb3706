/** What the kernel says of a process: memory, open files, connections. Linux alone has it. */
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';

const KIB_IN_MB = 1024;
const ESTABLISHED = '01';

export const hasProc = (): boolean => existsSync('/proc/self/fd') && existsSync('/proc/net/tcp');

/** Resident memory in MB, from /proc/PID/status. */
export const residentIn = (status: string): number =>
  Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? Number.NaN) / KIB_IN_MB;

/** How many connections a server has that listens on this port, from /proc/net/tcp or tcp6. */
export const connectionsIn = (table: string, port: number): number =>
  table
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter(([, local, , state]) => state === ESTABLISHED && Number.parseInt(local?.split(':')[1] ?? '', 16) === port)
    .length;

export function figuresOf(pid: number): { resident: number; files: number; sockets: number } {
  const open = readdirSync(`/proc/${pid}/fd`).flatMap((file) => {
    try {
      return [readlinkSync(`/proc/${pid}/fd/${file}`)];
    } catch {
      // Closed meanwhile.
      return [];
    }
  });
  return {
    resident: residentIn(readFileSync(`/proc/${pid}/status`, 'utf8')),
    files: open.length,
    sockets: open.filter((target) => target.startsWith('socket:')).length,
  };
}

export const connectionsOf = (port: number): number =>
  ['/proc/net/tcp', '/proc/net/tcp6']
    .filter((file) => existsSync(file))
    .reduce((sum, file) => sum + connectionsIn(readFileSync(file, 'utf8'), port), 0);

/** Seconds in which something waited for a CPU, from /proc/pressure/cpu. */
export const waitedIn = (pressure: string): number =>
  Number(/^some .*total=(\d+)/m.exec(pressure)?.[1] ?? Number.NaN) / 1e6;

export const waitedForCpu = (): number =>
  existsSync('/proc/pressure/cpu') ? waitedIn(readFileSync('/proc/pressure/cpu', 'utf8')) : Number.NaN;
