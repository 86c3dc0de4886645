/** The part of undici we use, by its path: the package's own entry loads five times as much at every start. */
declare module 'undici/lib/dispatcher/pool.js' {
  import { Pool } from 'undici';
  export default Pool;
}
