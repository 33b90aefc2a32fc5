import Crypto

/// One end's side of a Noise handshake of two messages (Noise Protocol Framework, revision 34, section 5.3).
///
/// ```
/// initiator: write -> (message 1) -> responder: read, write -> (message 2) -> initiator: read
/// ```
///
/// Each message has a payload. That of the first can be read by the holder of the static key and the psk. In a new
/// session it has no forward secrecy, and an attacker can repeat the message (section 7.7). The second payload, and all
/// after ``split()``, have forward secrecy.
///
/// A handshake cannot be copied, so no key ever comes from it twice. After an error it is of no more use.
public struct HandshakeState: ~Copyable, Sendable {
    /// What an end is in the handshake, with the static key of the server.
    public enum Party: Sendable {
        /// The initiator of a new session, which knows the server's key: NKpsk0.
        case client(of: ServerPublicKey)
        /// The responder of a new session: NKpsk0.
        case server(ServerKey)
        /// The initiator on a further carrier of a session: NNpsk0.
        case resumingClient
        /// The responder on a further carrier of a session: NNpsk0.
        case resumingServer
    }

    private enum State: Sendable {
        case writing(Exchange)
        case reading(Exchange)
        case complete(SymmetricState, isInitiator: Bool)
        case failed
    }

    /// Bytes that a message is longer than its payload: an ephemeral key and a tag.
    public static let overhead = DiffieHellman.keyLength + CipherState.tagLength
    /// The longest payload, bytes.
    public static let longestPayload = CipherState.longestMessage - overhead

    private var state: State

    /// Begins a handshake.
    ///
    /// - Parameters:
    ///   - party: what this end is.
    ///   - psk: the pre-shared key, 32 bytes.
    ///   - prologue: bytes that both ends know. A difference fails the first message.
    public init(_ party: Party, psk: SymmetricKey, prologue: [UInt8]) {
        self.init(party, psk: psk, prologue: prologue, ephemeral: nil)
    }

    /// Begins a handshake with a given ephemeral key, for tests.
    init(
        _ party: Party,
        psk: SymmetricKey,
        prologue: [UInt8],
        ephemeral: Curve25519.KeyAgreement.PrivateKey?
    ) {
        precondition(psk.bitCount == 256, "a psk has 32 bytes (section 9)")
        let exchange = Exchange(party, psk: psk, prologue: prologue, ephemeral: ephemeral)
        state = exchange.isInitiator ? .writing(exchange) : .reading(exchange)
    }

    /// Whether both messages have crossed.
    public var isComplete: Bool {
        if case .complete = state { true } else { false }
    }

    /// Returns this end's message (WriteMessage).
    ///
    /// - Parameter payload: at most ``longestPayload`` bytes.
    /// - Throws: ``NoiseError``. ``NoiseError/lowOrderPoint`` is the peer's breach. The others are misuse.
    public mutating func write(_ payload: [UInt8]) throws(NoiseError) -> [UInt8] {
        guard case .writing(var exchange) = state else { throw refusal }
        state = .failed
        guard payload.count <= Self.longestPayload else { throw .length(payload.count) }
        let message = try exchange.write(payload)
        state = exchange.isComplete ? Self.complete(exchange) : .reading(exchange)
        return message
    }

    /// Returns the payload of the peer's message (ReadMessage).
    ///
    /// - Throws: ``NoiseError`` if the message does not come from an end with the same keys and prologue.
    public mutating func read(_ message: [UInt8]) throws(NoiseError) -> [UInt8] {
        guard case .reading(var exchange) = state else { throw refusal }
        state = .failed
        guard (Self.overhead...CipherState.longestMessage).contains(message.count) else { throw .length(message.count) }
        let payload = try exchange.read(message)
        state = exchange.isComplete ? Self.complete(exchange) : .writing(exchange)
        return payload
    }

    /// Ends the handshake with the keys of the carrier (Split).
    ///
    /// - Throws: ``NoiseError/outOfTurn`` if messages are missing, ``NoiseError/ended`` after a failure.
    public consuming func split() throws(NoiseError) -> CarrierSeal {
        guard case .complete(let symmetric, let isInitiator) = state else { throw refusal }
        return CarrierSeal(symmetric, isInitiator: isInitiator)
    }

    private static func complete(_ exchange: Exchange) -> State {
        .complete(exchange.symmetric, isInitiator: exchange.isInitiator)
    }

    /// The error of a call that the state does not allow.
    private var refusal: NoiseError {
        if case .failed = state { .ended } else { .outOfTurn }
    }
}
