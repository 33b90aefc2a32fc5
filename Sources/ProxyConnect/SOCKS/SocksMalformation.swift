/// The fault of a malformed answer.
public enum SocksMalformation: Sendable, Hashable {
    /// A first answer that does not begin with 5.
    case otherProtocol(SocksSpeaker)
    /// A later answer with a wrong version byte. Some clients ignore it; RFC 1929, section 2, does not.
    case wrongVersion(UInt8, SocksStep)
    /// A method that was not offered.
    case methodNotOffered(UInt8)
    /// A reply whose length cannot be determined.
    case unknownAddressType(UInt8)
}
