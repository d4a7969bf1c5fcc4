/** A message, or a part of one, is not what the holder of the key sent. The reason is for the log only. */
export class IntegrityError extends Error {
  override readonly name = 'IntegrityError'
}

/** The peer's public value fails the checks of RFC 6989 or of its group's own document. */
export class InvalidPublicValue extends Error {
  override readonly name = 'InvalidPublicValue'
}

/** The data of an AUTH payload is malformed, or names a signature algorithm that we do not have. */
export class AuthDecodeError extends Error {
  override readonly name = 'AuthDecodeError'
}
