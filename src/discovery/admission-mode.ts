/**
 * Who of those that hold the swarm key is let in? open: everybody. allowlist: the nodes on this machine's list or on the
 * owner's. certified: nodes that show a certificate of the owner. Each is stricter than the one before; a page of its own
 * because the settings name them too.
 */
export const ADMISSION_MODES = ['open', 'allowlist', 'certified'] as const;
export type AdmissionMode = (typeof ADMISSION_MODES)[number];
