/// The types of address (RFC 1928, section 5).
enum SocksAddressType {
    static let ipv4: UInt8 = 1
    static let name: UInt8 = 3
    static let ipv6: UInt8 = 4
}
