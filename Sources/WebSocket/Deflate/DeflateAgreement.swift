/// The negotiated parameters of permessage-deflate (RFC 7692, section 7.1).
public struct DeflateAgreement: Sendable, Equatable {
    /// Whether the server resets its compressor after each message.
    public var serverNoContextTakeover: Bool
    /// Whether the client resets its compressor after each message.
    public var clientNoContextTakeover: Bool
    /// The server's widest window, as an exponent from 8 to 15.
    public var serverMaxWindowBits: Int
    /// The client's widest window, as an exponent from 8 to 15.
    public var clientMaxWindowBits: Int
    /// The settings of this end's compressor.
    public var options: DeflateOptions

    /// Creates parameters that were agreed on elsewhere.
    public init(
        serverNoContextTakeover: Bool,
        clientNoContextTakeover: Bool,
        serverMaxWindowBits: Int,
        clientMaxWindowBits: Int,
        options: DeflateOptions
    ) {
        self.serverNoContextTakeover = serverNoContextTakeover
        self.clientNoContextTakeover = clientNoContextTakeover
        self.serverMaxWindowBits = serverMaxWindowBits
        self.clientMaxWindowBits = clientMaxWindowBits
        self.options = options
    }

    /// Returns the parameters for the messages that an end of this role sends.
    func direction(from role: WebSocketRole) -> (noContextTakeover: Bool, windowBits: Int) {
        switch role {
        case .server: (serverNoContextTakeover, serverMaxWindowBits)
        case .client: (clientNoContextTakeover, clientMaxWindowBits)
        }
    }
}
