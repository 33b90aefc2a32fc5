import Crypto

extension HandshakeState {
    /// The keys of a handshake that has begun, and the interpreter of its pattern's tokens (Noise, section 5.3).
    ///
    /// Private keys and the psk go with the exchange, as soon as the second message has crossed.
    struct Exchange: Sendable {
        /// Whether this end writes the first message.
        let isInitiator: Bool
        private(set) var symmetric: SymmetricState
        private var remaining: ArraySlice<[HandshakePattern.Token]>
        private let psk: SymmetricKey
        /// Made when it is needed, so that a request that does not open costs none.
        private var ephemeral: Curve25519.KeyAgreement.PrivateKey?
        private var peerEphemeral: Curve25519.KeyAgreement.PublicKey?
        private let party: Party

        /// Initialize: hashes the prologue and the public key that the initiator knows.
        init(
            _ party: Party,
            psk: SymmetricKey,
            prologue: [UInt8],
            ephemeral: Curve25519.KeyAgreement.PrivateKey?
        ) {
            let pattern: HandshakePattern
            let known: ServerPublicKey?
            switch party {
            case .client(of: let server): (pattern, isInitiator, known) = (.nkPSK0, true, server)
            case .server(let key): (pattern, isInitiator, known) = (.nkPSK0, false, key.publicKey)
            case .resumingClient: (pattern, isInitiator, known) = (.nnPSK0, true, nil)
            case .resumingServer: (pattern, isInitiator, known) = (.nnPSK0, false, nil)
            }
            symmetric = SymmetricState(protocolName: pattern.protocolName)
            symmetric.mixHash(prologue)
            if let known { symmetric.mixHash(known.rawRepresentation) }
            remaining = pattern.messages[...]
            self.party = party
            self.psk = psk
            self.ephemeral = ephemeral
        }

        /// Whether both messages have crossed.
        var isComplete: Bool { remaining.isEmpty }

        /// Returns the next message.
        mutating func write(_ payload: [UInt8]) throws(NoiseError) -> [UInt8] {
            var message: [UInt8] = []
            for token in remaining.popFirst() ?? [] {
                guard case .e = token else {
                    try mix(token)
                    continue
                }
                let own = ephemeral ?? Curve25519.KeyAgreement.PrivateKey()
                ephemeral = own
                let key = Array(own.publicKey.rawRepresentation)
                mix(ephemeral: key)
                message += key
            }
            return message + (try symmetric.encryptAndHash(payload))
        }

        /// Returns the payload of the peer's next message, which is at least as long as an ephemeral key.
        mutating func read(_ message: [UInt8]) throws(NoiseError) -> [UInt8] {
            var rest = message[...]
            for token in remaining.popFirst() ?? [] {
                guard case .e = token else {
                    try mix(token)
                    continue
                }
                let key = Array(rest.prefix(DiffieHellman.keyLength))
                rest = rest.dropFirst(DiffieHellman.keyLength)
                guard let point = try? Curve25519.KeyAgreement.PublicKey(rawRepresentation: key) else {
                    throw .length(message.count)
                }
                peerEphemeral = point
                mix(ephemeral: key)
            }
            return try symmetric.decryptAndHash(Array(rest))
        }

        /// Mixes a public ephemeral key into the hash, and into the key too, since there is a psk (section 9.2).
        private mutating func mix(ephemeral key: [UInt8]) {
            symmetric.mixHash(key)
            symmetric.mixKey(SymmetricKey(data: key))
        }

        /// Mixes what both ends know without further bytes.
        private mutating func mix(_ token: HandshakePattern.Token) throws(NoiseError) {
            switch (token, party) {
            case (.psk, _):
                symmetric.mixKeyAndHash(psk)
            case (.es, .client(of: let server)):
                guard let ephemeral else { throw .outOfTurn }
                symmetric.mixKey(try DiffieHellman.sharedSecret(ephemeral, server.key))
            case (.es, .server(let key)):
                try mix(key.key)
            case (.ee, _):
                guard let ephemeral else { throw .outOfTurn }
                try mix(ephemeral)
            case (.e, _), (.es, .resumingClient), (.es, .resumingServer):
                throw .outOfTurn
            }
        }

        /// Mixes the secret that a private key shares with the peer's ephemeral key.
        private mutating func mix(_ key: Curve25519.KeyAgreement.PrivateKey) throws(NoiseError) {
            guard let peerEphemeral else { throw .outOfTurn }
            symmetric.mixKey(try DiffieHellman.sharedSecret(key, peerEphemeral))
        }
    }
}
