/// The supported authentication methods (RFC 1928, section 3).
enum SocksMethod {
    static let none: UInt8 = 0x00
    static let password: UInt8 = 0x02
    /// The proxy accepts none of the offered methods.
    static let noneAcceptable: UInt8 = 0xFF
}
