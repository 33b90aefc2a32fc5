/// The step of the exchange whose answer is expected.
public enum SocksStep: Sendable, Hashable {
    /// The proxy's choice of an authentication method (RFC 1928, section 3).
    case greeting
    /// The proxy's verdict on user and password (RFC 1929, section 2).
    case authentication
    /// The proxy's reply to the request to connect (RFC 1928, sections 4 and 6).
    case request
}
