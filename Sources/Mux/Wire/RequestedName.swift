import NIOCore

/// A host name that a client requests in place of a port, as part of BIND.
public struct RequestedName: Sendable, Hashable {
    /// What the server does with the name's visitors.
    public enum Relay: UInt8, Sendable, Hashable {
        /// Relays each request by its Host.
        case http = 1
        /// Passes TLS through by the name in the ClientHello.
        case tls = 2
    }

    /// A header field that the service gets in place of the visitor's own.
    public struct Field: Sendable, Hashable {
        /// The field's name, at most 255 bytes.
        public var name: String
        /// Its value.
        public var value: String

        /// A field.
        public init(_ name: String, _ value: String) { (self.name, self.value) = (name, value) }
    }

    /// The longest name, bytes.
    public static let longestName = 253
    /// The longest beginning of paths, bytes.
    public static let longestPath = 255
    /// Bytes of all fields to set, with three for each.
    public static let longestFields = 1_536
    /// Bytes of all lines for visitors' passwords, with one for each.
    public static let longestPasswords = 1_536

    /// What the server does with the visitors.
    public var relay: Relay
    /// The name; one without a dot stands below the server's domain.
    public var name: String
    /// The beginning of the paths that lead to the service; empty for all.
    public var path = ""
    /// The Host field for the service; empty for the visitor's own.
    public var hostHeader = ""
    /// Fields that the service gets in place of the visitor's own.
    public var setHeaders: [Field] = []
    /// Lines for the passwords of visitors; none if they need none.
    public var passwords: [String] = []

    /// A request for a name.
    public init(_ relay: Relay, _ name: String) { (self.relay, self.name) = (relay, name) }

    /// Whether the lists fit into a frame.
    public var fits: Bool {
        setHeaders.reduce(0) { $0 + $1.name.utf8.count + $1.value.utf8.count + 3 } <= Self.longestFields
            && passwords.reduce(0) { $0 + $1.utf8.count + 1 } <= Self.longestPasswords
            && setHeaders.allSatisfy { $0.name.utf8.count <= 255 } && passwords.allSatisfy { $0.utf8.count <= 255 }
    }

    func write(to fields: inout FieldWriter) {
        fields.append(12, number: relay.rawValue)
        fields.append(13, name, atMost: Self.longestName)
        if !path.isEmpty { fields.append(14, path, atMost: Self.longestPath) }
        if !hostHeader.isEmpty { fields.append(15, hostHeader, atMost: Self.longestName + 6) }
        guard fits else { return }
        if !setHeaders.isEmpty {
            var bytes = ByteBuffer()
            for field in setHeaders {
                bytes.writeMultipleIntegers(
                    UInt8(field.name.utf8.count),
                    UInt16(truncatingIfNeeded: field.value.utf8.count)
                )
                bytes.writeString(field.name)
                bytes.writeString(field.value)
            }
            fields.append(16, bytes.readableBytesView)
        }
        if !passwords.isEmpty {
            var bytes = ByteBuffer()
            for line in passwords {
                bytes.writeInteger(UInt8(line.utf8.count))
                bytes.writeString(line)
            }
            fields.append(17, bytes.readableBytesView)
        }
    }

    /// - Returns: nil if the request is for a port or a path.
    init?(_ fields: FieldReader) throws(MuxError) {
        guard let number = try fields.optionalNumber(12, as: UInt8.self) else { return nil }
        guard let relay = Relay(rawValue: number) else {
            throw MuxError(.malformedPayload, "bind: a name of an unknown kind")
        }
        self.init(relay, try fields.text(13, atMost: Self.longestName))
        path = try fields.text(14, atMost: Self.longestPath)
        hostHeader = try fields.text(15, atMost: Self.longestName + 6)
        setHeaders = try Self.fields(fields.bytes(16) ?? [])
        passwords = try Self.lines(fields.bytes(17) ?? [])
    }

    private static func fields(_ bytes: [UInt8]) throws(MuxError) -> [Field] {
        guard bytes.count <= longestFields else { throw malformed }
        var buffer = ByteBuffer(bytes: bytes)
        var result: [Field] = []
        while buffer.readableBytes > 0 {
            guard let (name, value) = buffer.readMultipleIntegers(as: (UInt8, UInt16).self) else { throw malformed }
            result.append(Field(try text(Int(name), &buffer), try text(Int(value), &buffer)))
        }
        return result
    }

    private static func lines(_ bytes: [UInt8]) throws(MuxError) -> [String] {
        guard bytes.count <= longestPasswords else { throw malformed }
        var buffer = ByteBuffer(bytes: bytes)
        var result: [String] = []
        while let count = buffer.readInteger(as: UInt8.self) { result.append(try text(Int(count), &buffer)) }
        return result
    }

    private static func text(_ count: Int, _ buffer: inout ByteBuffer) throws(MuxError) -> String {
        guard let slice = buffer.readSlice(length: count),
            let text = String(validating: slice.readableBytesView, as: UTF8.self),
            text.unicodeScalars.allSatisfy(\.isPrintable)
        else { throw malformed }
        return text
    }

    private static var malformed: MuxError { MuxError(.malformedPayload, "bind: a list of the name is malformed") }
}
