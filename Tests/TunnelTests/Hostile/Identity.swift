import Mux

/// A token with its keys, whose derivation takes some milliseconds.
struct Identity: Sendable {
    let name: String
    let token: Token
    let credentials: Credentials

    private init(_ name: String, _ token: Token) {
        self.name = name
        self.token = token
        self.credentials = token.credentials()
    }

    private init(_ name: String) {
        // The text is long enough for a token.
        self.init(name, (try? Token("the token of \(name), long enough")) ?? .none)
    }

    /// Clients that the server knows.
    static let alice = Identity("alice")
    static let bob = Identity("bob")
    /// A client that the server does not know.
    static let mallory = Identity("mallory")
}
