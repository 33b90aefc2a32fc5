/// The result of the handshake.
public struct Agreement: Sendable, Equatable {
    /// The subprotocol that the server chose from the client's offers; nil if it chose none.
    public var subprotocol: String?
    /// The negotiated compression; nil for none.
    public var deflate: DeflateAgreement?

    /// Creates an agreement.
    public init(subprotocol: String? = nil, deflate: DeflateAgreement? = nil) {
        self.subprotocol = subprotocol
        self.deflate = deflate
    }
}
