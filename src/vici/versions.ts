/** Clients look at the dotted version (VICI `version`); this is the strongSwan release whose surface we offer. */
export const surfaceVersion = '6.1.0'

/** The release of Sallyport. */
export const ownVersion = '0.1.0'
