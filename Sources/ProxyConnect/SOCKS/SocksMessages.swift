import NIOCore
import NetworkAddress

/// The client's messages, encoded before the proxy is dialled so that unencodable values are found early.
///
/// ```
///   greeting        5  number of methods  methods ...
///   authentication  1  length  user ...  length  password ...              (RFC 1929 section 2)
///   request         5  1 (CONNECT)  0  type of address  address ...  port  (RFC 1928 section 4)
/// ```
struct SocksMessages: Sendable {
    let greeting: ByteBuffer
    /// The message with user and password; nil without credentials.
    let authentication: ByteBuffer?
    let request: ByteBuffer

    /// Encodes the messages.
    ///
    /// - Parameters:
    ///   - host: a normalised host without brackets.
    ///   - shown: the target as errors name it.
    /// - Throws: ``SocksError`` if a value cannot be encoded.
    init(host: String, port: Int, credentials: ProxyCredentials?, shown: String) throws(SocksError) {
        guard let port = UInt16(exactly: port), port > 0 else { throw SocksError(.unusablePort, target: shown) }
        var request = ByteBuffer(bytes: [5, 1, 0])
        switch IPAddress(host) {
        case .v4(let address):
            request.writeInteger(SocksAddressType.ipv4)
            request.writeInteger(address)
        case .v6(let address):
            request.writeInteger(SocksAddressType.ipv6)
            request.writeInteger(address)
        case nil:
            request.writeInteger(SocksAddressType.name)
            guard request.writeShort(host) else { throw SocksError(.unusableHost, target: shown) }
        }
        request.writeInteger(port)
        self.request = request
        guard let credentials else {
            greeting = ByteBuffer(bytes: [5, 1, SocksMethod.none])
            authentication = nil
            return
        }
        greeting = ByteBuffer(bytes: [5, 2, SocksMethod.none, SocksMethod.password])
        guard !credentials.user.isEmpty else { throw SocksError(.emptyUser, target: shown) }
        var message = ByteBuffer(bytes: [1])
        guard message.writeShort(credentials.user) else { throw SocksError(.longUser, target: shown) }
        guard message.writeShort(credentials.password) else { throw SocksError(.longPassword, target: shown) }
        authentication = message
    }
}

extension ByteBuffer {
    /// Writes a length byte and the text; false if the length does not fit into a byte.
    fileprivate mutating func writeShort(_ text: String) -> Bool {
        guard let length = UInt8(exactly: text.utf8.count) else { return false }
        writeInteger(length)
        writeString(text)
        return true
    }
}
