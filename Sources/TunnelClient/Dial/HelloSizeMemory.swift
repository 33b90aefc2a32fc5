import Logging
import ProxyConnect
import Synchronization
import TunnelCore

/// What the run has learnt about the size of a ClientHello that passes.
///
/// With a post-quantum key share a ClientHello takes two TCP segments. Some middleboxes look for the name in the first
/// one and cut the connection, or swallow it, if the name is not complete there.
final class HelloSizeMemory: Sendable {
    /// A handshake's place: who it is with, and what lies between.
    struct Place: Sendable, Hashable {
        let endpoint: EndpointURL
        let proxy: ProxyURL?
        let peer: TLSPeer
    }

    /// How many handshakes must end without an answer, one after the other, before a smaller hello is tried.
    static let patience = 2

    /// Places that are remembered; scripts may name ever other proxies. Past it all are forgotten, which costs two dials.
    static let maximumPlaces = 256

    private struct Known {
        var cuts = 0
        /// A smaller hello has led to a session's handshake.
        var isSmall = false
        var isToldOf = false
    }

    private let known = Mutex<[Place: Known]>([:])

    /// Which hello the next handshake sends.
    enum Size: Sendable, Hashable {
        case full
        /// For once, to see whether it passes.
        case trial
        /// The one that has passed before.
        case small

        var isSmall: Bool { self != .full }
    }

    /// Which hello to send at this place.
    func size(at place: Place) -> Size {
        known.withLock { known in
            let here = known[place] ?? Known()
            return here.isSmall ? .small : here.cuts >= Self.patience ? .trial : .full
        }
    }

    /// True once for each place: a server that is away is tried with both hellos in turn, and one line says so.
    func isNewTrial(at place: Place) -> Bool {
        known.withLock { known in
            defer { known[place, default: Known()].isToldOf = true }
            return known[place]?.isToldOf != true
        }
    }

    /// The other end has answered, whatever it said.
    ///
    /// - Returns: whether this settles that the place needs the small one.
    func answered(at place: Place, to size: Size) -> Bool {
        known.withLock { known in
            known[place]?.cuts = 0
            guard size == .trial else { return false }
            known[place, default: Known()].isSmall = true
            return true
        }
    }

    /// The handshake has ended without any answer.
    func unanswered(at place: Place, to size: Size) {
        known.withLock { known in
            switch size {
            case .full:
                if known.count >= Self.maximumPlaces, known[place] == nil { known.removeAll() }
                known[place, default: Known()].cuts += 1
            // That was not it: the full one has its two tries again.
            case .trial: known[place, default: Known()].cuts = 0
            case .small: break
            }
        }
    }
}

extension DialRoute {
    /// Where a handshake of this dial takes place.
    func place(_ peer: TLSPeer) -> HelloSizeMemory.Place {
        HelloSizeMemory.Place(endpoint: endpoint, proxy: proxy, peer: peer)
    }

    /// Says that a smaller hello is tried, and why.
    func tellOfTrial(_ peer: TLSPeer) {
        let level: Logger.Level = context.hellos.isNewTrial(at: place(peer)) ? .notice : .debug
        context.logger.log(
            level: level,
            "handshakes have ended without an answer; trying a smaller ClientHello, without post-quantum key exchange",
            metadata: ["step": "\(peer.hop.rawValue)", "url": "\(endpoint)"]
        )
    }

    /// The other end has answered the hello.
    func answered(_ handshake: TLSHandshake, _ peer: TLSPeer) {
        guard context.hellos.answered(at: place(peer), to: handshake.hello) else { return }
        context.logger.notice(
            "the way takes only a small ClientHello, which is kept for this run; --tls-groups x25519,p-256 sends it at once",
            metadata: ["step": "\(peer.hop.rawValue)", "url": "\(endpoint)"]
        )
    }

    /// The handshake has ended, or its time is over; one in which certificates came was answered.
    func unanswered(_ handshake: TLSHandshake, _ peer: TLSPeer) {
        guard !handshake.verification.hasCertificates else { return }
        context.hellos.unanswered(at: place(peer), to: handshake.hello)
    }
}
