import HTTP1
import HTTPRelay
import Mux
import NIOCore
import NetworkAddress
import Synchronization
import TunnelCore

/// A visitor of the router, for the session's rules and the log.
struct RoutedVisitor: Sendable {
    /// `203.0.113.9:40001`, as in the log.
    let description: String
    /// Its address; nil for a unix socket.
    let address: IPAddress?
    /// The public address that it has connected to.
    let publicAddress: String
    /// Whether another server has sent it, which learns when its stream begins.
    var isFromServer = false
}

/// A tunnel as visitors' event loops see it: of a session of this server, or of one at another server.
final class RouteMember: Sendable {
    let loop: any EventLoop
    let tunnel: UInt16
    /// The owner of the session.
    let client: [UInt8]
    /// The operator's name for the owner.
    let owner: String
    /// What is done to its requests.
    let rules: RelayRules
    /// The visitors that may send requests; nil if all may.
    let passwords: VisitorPasswords?
    /// Whether visitors from one address go to the same member of its group.
    let isSticky: Bool
    /// Opens a stream for a visitor; called on any event loop. The last parameter is called once the stream is gone.
    typealias Opener = @Sendable (RoutedVisitor, VisitorLink, @escaping @Sendable () -> Void) -> Void

    private let opener: Opener
    /// Whether its session is at another server.
    var isRemote: Bool { server != nil }
    /// The server of its session; nil for this one.
    private let server: PeerHealth?
    private let streams = Atomic(0)
    private let isHealthy: Atomic<Bool>
    private let paused = Atomic(false)
    private let withdrawn = Atomic(false)

    /// To be made on the session's event loop.
    ///
    /// - Parameters:
    ///   - client: the owner of the session.
    ///   - owner: the operator's name for it.
    init(_ admission: VisitorAdmission, _ request: BindRequest, client: [UInt8], owner: String) {
        loop = admission.sessionLoop.eventLoop
        let admission = NIOLoopBound(admission, eventLoop: loop)
        opener = { [loop, tunnel = request.tunnel] visitor, link, onEnd in
            // A task of its own: the session must not be entered while its actions are performed.
            loop.execute { admission.value.open(visitor, link, at: tunnel, onEnd: onEnd) }
        }
        tunnel = request.tunnel
        server = nil
        (self.client, self.owner) = (client, owner)
        rules = RelayRules(request.name)
        passwords = (try? request.name?.visitorPasswords()) ?? nil
        isSticky = request.group?.isSticky ?? false
        // Until the client has checked its service, it is not known to be up.
        isHealthy = Atomic(!request.hasHealthCheck)
    }

    /// Creates the tunnel of a session elsewhere, for connections whose bytes nothing of this server reads.
    ///
    /// - Parameters:
    ///   - server: the other server; nil for a session of this one.
    ///   - loop: the event loop of the streams that `opener` opens.
    init(
        _ tunnel: UInt16,
        of owner: String,
        at server: PeerHealth?,
        on loop: any EventLoop,
        opener: @escaping Opener
    ) {
        (self.loop, self.tunnel, self.owner, self.opener) = (loop, tunnel, owner, opener)
        (client, rules, passwords, isSticky) = ([], RelayRules(), nil, false)
        self.server = server
        isHealthy = Atomic(true)
    }

    /// Streams that lead to it.
    var load: Int { streams.load(ordering: .relaxed) }

    /// Whether visitors may be sent to it.
    var isUp: Bool {
        get { isHealthy.load(ordering: .relaxed) }
        set { isHealthy.store(newValue, ordering: .relaxed) }
    }

    /// Whether its session has no carrier, or its server was not reached lately.
    var isPaused: Bool {
        get { paused.load(ordering: .relaxed) || server?.isDown ?? false }
        set { paused.store(newValue, ordering: .relaxed) }
    }

    /// Whether its place was given up. Its streams carry no further request then.
    var isWithdrawn: Bool { withdrawn.load(ordering: .relaxed) }

    /// Its place is given up.
    func withdraw() { withdrawn.store(true, ordering: .relaxed) }

    /// Whether a request that was rewritten and admitted for this member may go to another one of its group.
    func isInterchangeable(with other: RouteMember) -> Bool {
        self === other || rules == other.rules && passwords == other.passwords
    }

    /// Opens a stream for a visitor.
    func open(_ visitor: RoutedVisitor, _ link: VisitorLink) {
        streams.add(1, ordering: .relaxed)
        opener(visitor, link) { self.streams.subtract(1, ordering: .relaxed) }
    }
}

extension RelayRules {
    /// The rules of a client's request, without fields that may not be set.
    init(_ request: RequestedName?) {
        self.init()
        guard let request else { return }
        if !request.hostHeader.isEmpty { hostHeader = request.hostHeader }
        setHeaders = request.setHeaders.compactMap { try? Field($0.name, $0.value) }
        path = request.path
    }
}

extension RequestedName {
    /// The passwords of visitors; nil if they need none.
    ///
    /// - Throws: the refusal that is sent to the client.
    func visitorPasswords() throws(Refusal) -> VisitorPasswords? {
        guard !passwords.isEmpty else { return nil }
        do throws(VisitorPassword.Unsuitable) {
            return try VisitorPasswords(lines: passwords)
        } catch {
            throw Refusal(.portNotAllowed, "passwords: \(error)")
        }
    }
}
