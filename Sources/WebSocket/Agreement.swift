/// What both ends agreed on in the opening handshake.
///
/// Extensions will have their place here; none is implemented, so none is ever agreed.
public struct Agreement: Sendable, Equatable {
    /// The subprotocol that the server chose among those the client offered, or nil when it chose none.
    public var subprotocol: String?

    /// An agreement on that subprotocol.
    public init(subprotocol: String? = nil) {
        self.subprotocol = subprotocol
    }
}

extension String {
    /// Equal but for the case of ASCII letters, as tokens and origins are compared.
    func equalsIgnoringCase(_ other: String) -> Bool {
        func lowercased(_ unit: UInt8) -> UInt8 { (0x41...0x5A).contains(unit) ? unit | 0x20 : unit }
        return utf8.elementsEqual(other.utf8) { lowercased($0) == lowercased($1) }
    }
}
