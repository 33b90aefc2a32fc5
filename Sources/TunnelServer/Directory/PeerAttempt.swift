import NIOCore
import TunnelCore

/// One session of a link, or the attempt to begin one.
///
/// A session that was closed reports its end some turns of the event loop later, when its link may have another one. So the
/// link gets each event with its attempt, and ignores those of others.
final class PeerAttempt: PeerConnectionOwner {
    private weak var link: PeerLink?

    init(_ link: PeerLink) {
        self.link = link
    }

    func connectionBegan(_ opener: any StreamOpener) { link?.began(self, opener) }

    func connectionEnded(_ reason: String) { link?.ended(self, reason) }
}
