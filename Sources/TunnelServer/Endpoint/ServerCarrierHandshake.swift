import ByteText
import Cluster
import Logging
import Mux
import NIOCore
import TunnelCore

/// The handshake on a new carrier, from the upgrade to the session.
///
/// ```
///  CHALLENGE ──▶
///            ◀── AUTHENTICATE, or RESUME of a session that lives
///  WELCOME, RESUMED or REFUSED ──▶
/// ```
///
/// The server allocates nothing for a client before the proof is right.
final class ServerCarrierHandshake: CarrierReceiver {
    private let server: ServerCore
    private let channel: any Channel
    private let slot: AdmissionSlot
    private let origin: CarrierOrigin
    private let logger: Logger
    private var handshake: ServerHandshake
    private var carrier: Carrier?
    private var hasFailed = false
    /// Refuses a client that has proved itself, so that it alone reads the refusal.
    private var answer: ((Refusal) -> OutboundFrame)?
    /// The carrier's way to another server, while that server is asked.
    private var relay: CarrierRelay?

    init(server: ServerCore, channel: any Channel, slot: AdmissionSlot, origin: CarrierOrigin, logger: Logger) {
        self.server = server
        self.channel = channel
        self.slot = slot
        self.origin = origin
        self.logger = logger
        let configuration = server.configuration
        handshake = ServerHandshake(
            nonce: SecureRandom.bytes(32),
            software: softwareName,
            key: configuration.sealingKey,
            requiresSeal: configuration.encryption == .required
        )
    }

    func start(_ carrier: Carrier) {
        self.carrier = carrier
        carrier.send(handshake.challenge)
        carrier.flush()
    }

    func carrier(received frame: InboundFrame) {
        guard let carrier else { return }
        slot.noteBytes()
        do throws(MuxError) {
            guard relay == nil else { throw MuxError(.unexpectedFrame, "\(frame.header.type) frame before an answer") }
            switch try handshake.receive(frame) {
            case .verify(let client):
                try verify(client, carrier)
            case .resume(let session):
                try resume(session, frame.payload, carrier)
            }
        } catch {
            fail(.violation, carrier, Refusal(error.code, error.detail))
        }
    }

    private func resume(_ id: [UInt8], _ payload: ByteBuffer, _ carrier: Carrier) throws(MuxError) {
        let session = server.session(id)
        guard let proof = try server.authenticator.verifyResume(session?.keys, &handshake), let session else {
            if session == nil, relayed(id, payload, carrier) { return }
            // The path has altered the request: its client tries again, and must not lose the session.
            if let session, session.keys.isSealed {
                count(.altered)
                session.noteAlteration()
                return carrier.abort("the RESUME of a sealed session does not open")
            }
            return forgotten(carrier)
        }
        answer = proof.refuse
        if let refusal = server.authenticator.refusal(of: session.credential, now: WallClock.unixSeconds) {
            return fail(.rights, carrier, refusal)
        }
        guard !server.isStopping else {
            return fail(.stopping, carrier, Refusal(.goingAway, "the server is stopping", retryAfter: 1))
        }
        slot.free()
        self.carrier = nil
        session.resume(carrier, on: channel.eventLoop, from: origin, proof)
    }

    private func forgotten(_ carrier: Carrier) {
        server.resources.metrics.resumedUnknownSession()
        carrier.send(handshake.denyResume())
    }

    /// Relays the carrier to the server of its session, if that is another one.
    ///
    /// - Returns: false if the session would be this server's.
    private func relayed(_ session: [UInt8], _ payload: ByteBuffer, _ carrier: Carrier) -> Bool {
        guard let cluster = server.resources.cluster, let home = ServerID(ofSession: session),
            home != cluster.id
        else { return false }
        guard !server.isStopping else {
            fail(.stopping, carrier, Refusal(.goingAway, "the server is stopping", retryAfter: 1))
            return true
        }
        let destination = PeerDestination.carrier(
            challenge: Array(buffer: handshake.challengePayload),
            resume: Array(buffer: payload)
        )
        // No client sends a longer one, so the path has added to it. The session may live.
        guard destination.fits else {
            count(.altered)
            carrier.abort("the RESUME of another server's session is too long")
            return true
        }
        let relay = CarrierRelay(carrier, on: channel, from: origin) { [self] in
            slot.free()
            self.carrier = nil
            self.relay = nil
            logger.info("carrier relayed to the server of its session", metadata: ["server": "\(home)"])
        } onFailure: { [self] failure in
            self.relay = nil
            guard let carrier = self.carrier else { return }
            if let refusal = refusal(after: failure) { return fail(.stopping, carrier, refusal) }
            forgotten(carrier)
            carrier.flush()
        }
        self.relay = relay
        relay.start(to: cluster.relay(destination, to: home))
        return true
    }

    /// The refusal of a carrier that was not relayed; nil if the session is gone, or its server is.
    private func refusal(after failure: StreamFailure) -> Refusal? {
        switch failure {
        case .unavailable, .reset(.moved):
            server.isStopping ? Refusal(.goingAway, "the server is stopping", retryAfter: 1) : nil
        case .refused, .reset:
            Refusal(.busy, "the way to the session's server is busy", retryAfter: 1)
        }
    }

    private func verify(_ id: [UInt8], _ carrier: Carrier) throws(MuxError) {
        guard let (client, verified) = try server.authenticator.verify(id, &handshake) else {
            count(.credentials)
            let delay = server.admission.failed(slot.address, now: .now)
            server.resources.logs.refusedClients.log(
                "client refused: unknown, or the proof is wrong",
                at: .warning,
                to: logger,
                [
                    "id": "\(Base16.encoded(id))", "answered_after_s": .number(delay),
                ]
            )
            // Further frames are ignored: they would otherwise bring the answer forward.
            self.carrier = nil
            channel.eventLoop.assumeIsolated().scheduleTask(in: .seconds(Int64(delay))) {
                self.refuse(carrier, Refusal(.credentials, "the server does not accept this token"))
            }
            return
        }
        answer = verified.refuse
        let authentication = verified.authentication
        guard !verified.isAltered else {
            server.resources.logs.refusedClients.log(
                "client refused: the path has denied its session in this server's place",
                at: .warning,
                to: logger,
                ["client": "\(client.name)", "name": "\(authentication.name)"]
            )
            return fail(.altered, carrier, Refusal(.altered, "this server has not denied the session"))
        }
        if let refusal = client.refusal(now: WallClock.unixSeconds) { return fail(.rights, carrier, refusal) }
        guard !server.isStopping else {
            return fail(.stopping, carrier, Refusal(.goingAway, "the server is stopping", retryAfter: 1))
        }
        guard server.resources.memory.pressure < .refusesSessions else {
            return fail(.memory, carrier, Refusal(.busy, "the server is short of memory", retryAfter: 10))
        }
        let owner = PortOwner(
            client: server.authenticator.identity(of: authentication.id),
            instance: authentication.instance
        )
        // A diagnosis takes no place of a client that waits for its carrier.
        guard server.hasRoom(for: owner, evicts: authentication.name != "doctor") else {
            server.resources.logs.refusedClients.log(
                "client refused: it has as many sessions as it may have",
                at: .warning,
                to: logger,
                ["client": "\(client.name)", "name": "\(authentication.name)"]
            )
            let text = "this client has as many sessions as it may have"
            return fail(.busy, carrier, Refusal(.busy, text, retryAfter: 10))
        }
        slot.free()
        server.open(verified, client, carrier, channel, from: origin, logger)
        self.carrier = nil
    }

    private func fail(_ reason: HandshakeFailure, _ carrier: Carrier, _ refusal: Refusal) {
        count(reason)
        refuse(carrier, refusal)
    }

    /// Counts the first failure. Later ones are its consequences.
    private func count(_ reason: HandshakeFailure) {
        if !hasFailed { server.resources.metrics.failed(reason) }
        hasFailed = true
    }

    private func refuse(_ carrier: Carrier, _ refusal: Refusal) {
        carrier.send(answer?(refusal) ?? handshake.refuse(refusal))
        carrier.close(.policyViolation, reason: refusal.code.description)
    }

    func carrier(violatedBy error: MuxError) {
        guard let carrier else { return }
        fail(.violation, carrier, Refusal(error.code, error.detail))
    }

    func carrierReadCompleted() {
        carrier?.flush()
    }

    func carrierBecameWritable() {}

    func carrierLost(_ loss: CarrierLoss) {
        carrier = nil
        relay?.cancel()
        relay = nil
        count(.gone)
        logger.debug("gone before authentication", metadata: ["reason": "\(loss)"])
    }
}
