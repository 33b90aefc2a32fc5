import NIOCore
import NetworkAddress

/// The server's side of SOCKS: version 5 (RFC 1928) without authentication, and versions 4 and 4a.
///
/// ```
///            methods                 request               answer(_:)
///   start ───────────▶ negotiated ───────────▶ requested ───────────▶ finished
///     │                                            ▲
///     └──────────── request of version 4 ──────────┘
///   from each of them: bytes that are not SOCKS ───▶ finished (fail)
/// ```
///
/// Bytes behind the request stay in the caller's buffer: they belong to the destination. The exchange is pure: bytes go
/// in, actions come out. A message is parsed once it is complete, and none is longer than 520 bytes.
///
/// Not enforced: time. The caller has one deadline for the whole exchange.
public struct SocksServerExchange: Sendable {
    /// What the program on the other side wants.
    public enum Request: Sendable, Hashable {
        /// A connection to this host and port.
        case connect(HostPort)
        /// A relay of datagrams (RFC 1928, section 7).
        case associate
    }

    /// The caller's next action.
    public enum Action: Sendable, Hashable {
        /// Write these bytes, and call ``receive(_:)`` again.
        case send(ByteBuffer)
        /// Perform the request, and call ``answer(_:from:)``.
        case perform(Request)
        /// Write these bytes, if any, and close.
        case fail(ByteBuffer, Failure)
    }

    /// Why there is no request, for the log.
    public enum Failure: Error, Sendable, Hashable, CustomStringConvertible {
        /// Another protocol than SOCKS, with its first byte.
        case notSocks(UInt8)
        /// The program wants to authenticate itself, which this server does not know.
        case methods
        /// A command other than CONNECT and UDP ASSOCIATE.
        case command(UInt8)
        /// A destination that is neither a name nor an address, or port 0.
        case destination
        /// A text of version 4 without its end.
        case tooLong

        /// One line.
        public var description: String {
            switch self {
            case .notSocks(let byte) where (0x41...0x5A).contains(byte):
                "the program speaks HTTP here; set this port as its SOCKS proxy, socks5h://"
            case .notSocks: "the program does not speak SOCKS 5 or 4 here"
            case .methods: "the program insists on authentication, which this SOCKS port does not ask for"
            case .command(2): "SOCKS BIND is not supported"
            case .command(let command): "SOCKS command \(command) is not supported"
            case .destination: "the destination is neither a name nor an address with a port"
            case .tooLong: "a text of the SOCKS 4 request is longer than 255 bytes"
            }
        }
    }

    private enum State: Sendable {
        case start
        /// Version 5, without authentication.
        case negotiated
        case requested(version: UInt8)
        case finished
    }

    /// The longest text of version 4, bytes, as in version 5.
    private static let longestText = 255

    private var state = State.start

    /// Waits for the first message.
    public init() {}

    /// Whether the exchange is over, and takes no further bytes.
    public var isFinished: Bool {
        if case .finished = state { true } else { false }
    }

    /// Processes bytes from the program. What is not consumed must be passed again, with more behind it.
    ///
    /// - Returns: nil if the message is not complete, or if no message is expected.
    public mutating func receive(_ buffer: inout ByteBuffer) -> Action? {
        switch state {
        case .start:
            switch buffer.getInteger(at: buffer.readerIndex, as: UInt8.self) {
            case nil: return nil
            case 5: return receiveMethods(&buffer)
            case 4: return receiveRequest4(&buffer)
            case let byte?: return fail(.notSocks(byte), ByteBuffer())
            }
        case .negotiated: return receiveRequest5(&buffer)
        case .requested, .finished: return nil
        }
    }

    /// The bytes that answer the request.
    ///
    /// - Parameter relay: where the program sends its datagrams, for ``Request/associate``.
    public mutating func answer(
        _ reply: SocksReply,
        from relay: (address: IPAddress, port: UInt16)? = nil
    ) -> ByteBuffer {
        guard case .requested(let version) = state else { return ByteBuffer() }
        state = .finished
        return version == 4 ? Self.reply4(isGranted: reply == .succeeded) : Self.reply5(reply, relay)
    }

    // MARK: Version 5

    private mutating func receiveMethods(_ buffer: inout ByteBuffer) -> Action? {
        let start = buffer.readerIndex
        guard let count = buffer.getInteger(at: start + 1, as: UInt8.self),
            let methods = buffer.getBytes(at: start + 2, length: Int(count))
        else { return nil }
        buffer.moveReaderIndex(forwardBy: 2 + Int(count))
        guard methods.contains(SocksMethod.none) else {
            return fail(.methods, ByteBuffer(bytes: [5, SocksMethod.noneAcceptable]))
        }
        state = .negotiated
        return .send(ByteBuffer(bytes: [5, SocksMethod.none]))
    }

    private mutating func receiveRequest5(_ buffer: inout ByteBuffer) -> Action? {
        var rest = buffer
        guard let version = rest.readInteger(as: UInt8.self) else { return nil }
        guard version == 5 else { return fail(.notSocks(version), ByteBuffer()) }
        guard let command = rest.readInteger(as: UInt8.self), rest.readInteger(as: UInt8.self) != nil,
            let type = rest.readInteger(as: UInt8.self)
        else { return nil }
        guard SocksAddressType.isKnown(type) else {
            state = .requested(version: 5)
            return fail(.destination, answer(.addressTypeNotSupported))
        }
        guard let address = SocksAddressType.read(type, &rest) else { return nil }
        guard let port = rest.readInteger(as: UInt16.self) else { return nil }
        buffer = rest
        state = .requested(version: 5)
        switch command {
        case 1: return connect(SocksAddressType.target(type, address, port))
        // The address and the port that follow are where the program sends from, if it knows.
        case 3: return .perform(.associate)
        default: return fail(.command(command), answer(.commandNotSupported))
        }
    }

    private static func reply5(_ reply: SocksReply, _ relay: (address: IPAddress, port: UInt16)?) -> ByteBuffer {
        var bytes = ByteBuffer(bytes: [5, reply.rawValue, 0])
        switch relay?.address ?? .v4(0) {
        case .v4(let address): bytes.writeMultipleIntegers(SocksAddressType.ipv4, address)
        case .v6(let address):
            bytes.writeInteger(SocksAddressType.ipv6)
            bytes.writeInteger(address)
        }
        bytes.writeInteger(relay?.port ?? 0)
        return bytes
    }

    // MARK: Version 4

    private mutating func receiveRequest4(_ buffer: inout ByteBuffer) -> Action? {
        var rest = buffer
        guard rest.readInteger(as: UInt8.self) != nil, let command = rest.readInteger(as: UInt8.self),
            let port = rest.readInteger(as: UInt16.self), let address = rest.readInteger(as: UInt32.self)
        else { return nil }
        var name: [UInt8]?
        do throws(Failure) {
            guard try Self.text(&rest) != nil else { return nil }
            // 4a: an address of 0.0.0.x, and a name behind the user.
            if address >> 8 == 0, address != 0 {
                guard let text = try Self.text(&rest) else { return nil }
                name = text
            }
        } catch {
            return fail(error, Self.reply4(isGranted: false))
        }
        buffer = rest
        state = .requested(version: 4)
        guard command == 1 else { return fail(.command(command), answer(.commandNotSupported)) }
        let host = name.map { String(validating: $0, as: UTF8.self) } ?? IPAddress.v4(address).description
        return connect(host.flatMap { SocksAddressType.target($0, port) })
    }

    /// A text up to its zero byte; nil if that has not arrived.
    private static func text(_ buffer: inout ByteBuffer) throws(Failure) -> [UInt8]? {
        let view = buffer.readableBytesView
        guard let end = view.prefix(longestText + 1).firstIndex(of: 0) else {
            guard view.count <= longestText else { throw .tooLong }
            return nil
        }
        let text = Array(view[..<end])
        buffer.moveReaderIndex(forwardBy: text.count + 1)
        return text
    }

    private static func reply4(isGranted: Bool) -> ByteBuffer {
        ByteBuffer(bytes: [0, isGranted ? 90 : 91, 0, 0, 0, 0, 0, 0])
    }

    // MARK: Both

    private mutating func connect(_ target: HostPort?) -> Action {
        guard let target else { return fail(.destination, answer(.generalFailure)) }
        return .perform(.connect(target))
    }

    private mutating func fail(_ failure: Failure, _ reply: ByteBuffer) -> Action {
        state = .finished
        return .fail(reply, failure)
    }
}
