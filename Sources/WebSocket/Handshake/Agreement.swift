/// What both ends agreed on in the opening handshake.
public struct Agreement: Sendable, Equatable {
    /// The subprotocol that the server chose among those the client offered, or nil when it chose none.
    public var subprotocol: String?
    /// How messages may be compressed, or nil when they may not.
    public var deflate: DeflateAgreement?

    /// An agreement on that subprotocol and that compression.
    public init(subprotocol: String? = nil, deflate: DeflateAgreement? = nil) {
        self.subprotocol = subprotocol
        self.deflate = deflate
    }
}

extension String {
    /// Equal but for the case of ASCII letters, as tokens and origins are compared.
    func equalsIgnoringCase(_ other: String) -> Bool {
        func lowercased(_ unit: UInt8) -> UInt8 { (0x41...0x5A).contains(unit) ? unit | 0x20 : unit }
        return utf8.elementsEqual(other.utf8) { lowercased($0) == lowercased($1) }
    }
}
