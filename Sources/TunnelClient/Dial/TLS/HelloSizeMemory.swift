import Logging
import ProxyConnect
import Synchronization
import TunnelCore

/// Remembers for one run which size of ClientHello passes on the way to a peer.
///
/// With a post-quantum key share a ClientHello takes two TCP segments. Some middleboxes look for the name in the first
/// segment. If the name is incomplete there, they cut the connection or drop the segment.
final class HelloSizeMemory: Sendable {
    /// The peer of a handshake and the path to it.
    struct Place: Sendable, Hashable {
        let endpoint: EndpointURL
        let proxy: ProxyURL?
        let peer: TLSPeer
    }

    /// Consecutive handshakes without an answer before a smaller ClientHello is tried.
    static let unansweredLimit = 2

    /// Places that are remembered, since a proxy script may name ever other proxies. Beyond the limit all are forgotten,
    /// which costs two dials.
    static let maximumPlaces = 256

    private struct Known {
        var unanswered = 0
        /// A smaller ClientHello was answered.
        var isSmall = false
        var isReported = false
    }

    private let known = Mutex<[Place: Known]>([:])

    /// The ClientHello of the next handshake.
    enum Size: Sendable, Hashable {
        /// With all key shares.
        case full
        /// The small one, for one handshake, to find out whether it passes.
        case trial
        /// The small one, which has passed before.
        case small

        var isSmall: Bool { self != .full }
    }

    /// The ClientHello to send at this place.
    func size(at place: Place) -> Size {
        known.withLock { known in
            let here = known[place] ?? Known()
            return here.isSmall ? .small : here.unanswered >= Self.unansweredLimit ? .trial : .full
        }
    }

    /// True once for each place: a server that is away is tried with both sizes in turn, and one line reports it.
    func isNewTrial(at place: Place) -> Bool {
        known.withLock { known in
            defer { known[place, default: Known()].isReported = true }
            return known[place]?.isReported != true
        }
    }

    /// Records that the peer has answered, with whatever content.
    ///
    /// - Returns: whether the answer proves that the place needs the small ClientHello.
    func answered(at place: Place, to size: Size) -> Bool {
        known.withLock { known in
            known[place]?.unanswered = 0
            guard size == .trial else { return false }
            known[place, default: Known()].isSmall = true
            return true
        }
    }

    /// Records that the handshake has ended without an answer.
    func unanswered(at place: Place, to size: Size) {
        known.withLock { known in
            switch size {
            case .full:
                if known.count >= Self.maximumPlaces, known[place] == nil { known.removeAll() }
                known[place, default: Known()].unanswered += 1
            // The size was not the reason: the full one has its two tries again.
            case .trial: known[place, default: Known()].unanswered = 0
            case .small: break
            }
        }
    }
}

extension DialRoute {
    /// The place of this route's handshakes with a peer.
    private func place(_ peer: TLSPeer) -> HelloSizeMemory.Place {
        HelloSizeMemory.Place(endpoint: endpoint, proxy: proxy, peer: peer)
    }

    /// Begins a handshake with a peer, and reports it if it tries the smaller ClientHello.
    ///
    /// - Throws: as ``ClientTLSContext/handshake(with:hello:)`` does.
    func handshake(with peer: TLSPeer) throws -> TLSHandshake {
        let tls = context.tls(with: peer)
        let hello = tls.hasSmallerHello ? context.hellos.size(at: place(peer)) : .full
        if hello == .trial { reportTrial(peer) }
        return try tls.handshake(with: host(of: peer), hello: hello)
    }

    private func reportTrial(_ peer: TLSPeer) {
        let level: Logger.Level = context.hellos.isNewTrial(at: place(peer)) ? .notice : .debug
        context.logger.log(
            level: level,
            "handshakes have ended without an answer; trying a smaller ClientHello, without post-quantum key exchange",
            metadata: ["step": "\(peer.hop.rawValue)", "url": "\(endpoint)"]
        )
    }

    /// Records the end of a handshake that succeeded.
    func completed(_ handshake: TLSHandshake, _ peer: TLSPeer) {
        answered(handshake, peer)
        hops.passed(.secured(facts(handshake, peer)))
    }

    private func facts(_ handshake: TLSHandshake, _ peer: TLSPeer) -> HopFact.TLSFacts {
        let version =
            switch handshake.handler.tlsVersion {
            case .tlsv13?: "TLS 1.3"
            case .tlsv12?: "TLS 1.2"
            case .tlsv11?: "TLS 1.1"
            case .tlsv1?: "TLS 1.0"
            case nil: "TLS"
            }
        return HopFact.TLSFacts(
            isProxy: peer == .proxy,
            host: host(of: peer),
            version: version,
            certificates: handshake.verification.certificates
        )
    }

    /// Records the end of a handshake that failed.
    func failed(_ handshake: TLSHandshake, _ peer: TLSPeer, _ failure: TLSHandshakeFailure) {
        switch failure {
        case .certificate, .reasons: answered(handshake, peer)
        // A peer whose certificates arrived has answered.
        case .closed where !handshake.verification.hasCertificates,
            .silent where !handshake.verification.hasCertificates:
            context.hellos.unanswered(at: place(peer), to: handshake.hello)
        case .closed, .silent, .unusable, .other: break
        }
    }

    private func answered(_ handshake: TLSHandshake, _ peer: TLSPeer) {
        guard context.hellos.answered(at: place(peer), to: handshake.hello) else { return }
        context.logger.notice(
            "the way takes only a small ClientHello, which is kept for this run; --tls-groups x25519,p-256 sends it at once",
            metadata: ["step": "\(peer.hop.rawValue)", "url": "\(endpoint)"]
        )
    }
}
