import Mux
import NIOCore

/// The session's start, and its reports to the role.
extension SessionLoop {
    /// The role that owns the session.
    enum Owner {
        case server(any ServerSessionOwner)
        case client(any ClientSessionOwner)

        var common: any SessionOwner {
            switch self {
            case .server(let owner): owner
            case .client(let owner): owner
            }
        }
    }

    /// Starts a server's session on its carrier.
    package func start(_ owner: any ServerSessionOwner) {
        start(.server(owner))
    }

    /// Starts a client's session on its carrier.
    package func start(_ owner: any ClientSessionOwner) {
        start(.client(owner))
    }

    private func start(_ owner: Owner) {
        self.owner = owner
        openAccount()
        for carrier in carriers { carrier.link.admit(carrier) }
        armTimer()
        sendAtEndOfIteration()
    }

    /// Reports what the peer asks for or has decided.
    func report(_ action: SessionAction) {
        guard let owner else { return }
        switch action {
        case .goingAway(let reason):
            peerReason = reason
            owner.common.session(self, goingAway: reason)
        case .open(let id, let request):
            owner.common.session(self, open: id, request)
        case .numbersRunOut:
            owner.common.sessionNumbersRunOut(self)
        default:
            switch owner {
            case .server(let owner): report(action, to: owner)
            case .client(let owner): report(action, to: owner)
            }
        }
    }

    private func report(_ action: SessionAction, to owner: any ServerSessionOwner) {
        switch action {
        case .bind(let request): owner.session(self, bind: request)
        case .unbind(let tunnel): owner.session(self, unbind: tunnel)
        case .state(let state): owner.session(self, state: state)
        default: break
        }
    }

    private func report(_ action: SessionAction, to owner: any ClientSessionOwner) {
        switch action {
        case .bound(let binding): owner.session(self, bound: binding)
        case .unbound(let tunnel, let refusal): owner.session(self, unbound: tunnel, refusal)
        case .renew(let seconds): owner.session(self, renewWithin: seconds)
        default: break
        }
    }
}
