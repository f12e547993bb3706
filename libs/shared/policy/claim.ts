/** The durations of W1 and W3, all milliseconds on one process's monotonic clock; wall clocks of two machines are never compared. */

/** From before it sends the claim its holder counts this long; no patch starts after it. */
export const CLAIM_LIFE = 3000;
/** The longest a patch that was started may take to reach the API server. */
export const PATCH_TIMEOUT = 2000;
/** After first sight of a claim without a fact: all that its holder may have started is over. */
export const CLAIM_EXPIRY = CLAIM_LIFE + PATCH_TIMEOUT;
/** Beyond the longest detector time-out: when a message that nobody claimed counts as lost. */
export const UNCLAIMED_SLACK = 3000;
/** Beyond the longest detector time-out: when a worker gives up a round it received too long ago. */
export const GIVE_UP_SLACK = 2000;
