import NIOCore

extension ClientHello {
    private enum ExtensionType {
        static let serverName: UInt16 = 0
        static let applicationProtocols: UInt16 = 16
        static let supportedVersions: UInt16 = 43
        static let encryptedClientHello: UInt16 = 0xFE0D
    }

    private static let tls13: UInt16 = 0x0304

    /// Parses the message without its header (RFC 8446, section 4.1.2).
    ///
    /// Lengths are checked throughout. Values that only the handshake needs are not.
    init(message: ByteBuffer) throws(ClientHelloError) {
        self.init()
        var message = message
        // legacy_version and random.
        guard message.readSlice(length: 2 + 32) != nil,
            let sessionID = message.readLengthPrefixedSlice(as: UInt8.self), sessionID.readableBytes <= 32
        else { throw .malformed(.sessionID) }
        guard let suites = message.readLengthPrefixedSlice(as: UInt16.self), suites.readableBytes >= 2,
            suites.readableBytes.isMultiple(of: 2)
        else { throw .malformed(.cipherSuites) }
        guard let methods = message.readLengthPrefixedSlice(as: UInt8.self), methods.readableBytes > 0 else {
            throw .malformed(.compressionMethods)
        }
        // Before TLS 1.2 a hello may end here.
        guard message.readableBytes > 0 else { return }
        guard let extensions = message.readLengthPrefixedSlice(as: UInt16.self), message.readableBytes == 0 else {
            throw .malformed(.extensions)
        }
        try readExtensions(extensions)
    }

    private mutating func readExtensions(_ extensions: ByteBuffer) throws(ClientHelloError) {
        var extensions = extensions
        var types: Set<UInt16> = []
        while extensions.readableBytes > 0 {
            guard let type = extensions.readInteger(as: UInt16.self),
                let data = extensions.readLengthPrefixedSlice(as: UInt16.self)
            else { throw .malformed(.extensions) }
            guard types.insert(type).inserted else { throw .duplicateExtension(type) }
            switch type {
            case ExtensionType.serverName: serverName = try ServerNameList.hostName(in: data)
            case ExtensionType.applicationProtocols: applicationProtocols = try Self.readProtocols(data)
            case ExtensionType.supportedVersions: offersTLS13 = try Self.readVersions(data).contains(Self.tls13)
            case ExtensionType.encryptedClientHello: hasEncryptedClientHello = true
            default: break
            }
        }
    }

    /// ProtocolNameList (RFC 7301, section 3.1): at least one name, none of them empty.
    private static func readProtocols(_ data: ByteBuffer) throws(ClientHelloError) -> [String] {
        var data = data
        guard var list = data.readLengthPrefixedSlice(as: UInt16.self), data.readableBytes == 0,
            list.readableBytes > 0
        else { throw .malformed(.applicationProtocols) }
        var names: [String] = []
        while list.readableBytes > 0 {
            guard let name = list.readLengthPrefixedSlice(as: UInt8.self), name.readableBytes > 0 else {
                throw .malformed(.applicationProtocols)
            }
            names.append(String(decoding: name.readableBytesView, as: UTF8.self))
        }
        return names
    }

    /// SupportedVersions (RFC 8446, section 4.2.1): at least one version of two bytes.
    private static func readVersions(_ data: ByteBuffer) throws(ClientHelloError) -> [UInt16] {
        var data = data
        guard var list = data.readLengthPrefixedSlice(as: UInt8.self), data.readableBytes == 0,
            list.readableBytes > 0, list.readableBytes.isMultiple(of: 2)
        else { throw .malformed(.supportedVersions) }
        var versions: [UInt16] = []
        while let version = list.readInteger(as: UInt16.self) { versions.append(version) }
        return versions
    }
}
