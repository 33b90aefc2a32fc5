import Cluster
import HTTP1
import NIOCore

/// Sends requests to one endpoint at a time, over one connection and in the order of the calls. After a failure the next
/// endpoint is used.
actor EtcdClient {
    /// The user's login.
    private enum Login {
        case none
        case token(String)
        /// etcd has no authentication.
        case needless
    }

    /// The result of a request at one endpoint.
    private enum Attempt<Value> {
        case done(Value)
        /// The connection has failed. `isOld` if an earlier request had left it, and it has ended meanwhile.
        case failed(ConnectionFailure, wasSent: Bool, isOld: Bool)
        case rejected(Rejection)
    }

    private let configuration: EtcdConfiguration
    private let transport: EtcdTransport
    /// The index of the endpoint that is used.
    private var current = 0
    private var connection: EtcdConnection?
    /// The connection of a watch that has not answered yet.
    private var opening: EtcdConnection?
    private var login = Login.none
    private var isClosed = false
    private var isBusy = false
    private var waiting: [CheckedContinuation<Void, Never>] = []

    /// - Parameter configuration: with at least one endpoint.
    init(_ configuration: EtcdConfiguration, _ transport: EtcdTransport) {
        precondition(!configuration.endpoints.isEmpty, "no endpoint")
        (self.configuration, self.transport) = (configuration, transport)
    }

    /// Sends a request, and reads its answer.
    func call(_ request: EtcdRequest) async throws(RequestFailure) -> EtcdReply {
        let deadline = try await begin()
        defer { end() }
        let (response, isRepeated) = try await tryEndpoints(until: deadline) { await exchange(request, until: $0) }
        return EtcdReply(endpoint: endpoint, body: response.body, isRepeated: isRepeated)
    }

    /// Opens a watch on a connection of its own.
    ///
    /// - Returns: the watch, and its first message.
    func watch(_ request: EtcdRequest) async throws(RequestFailure) -> (EtcdStream, WatchAnswer) {
        let deadline = try await begin()
        defer { end() }
        return try await tryEndpoints(until: deadline) { await openWatch(request, until: $0) }.0
    }

    /// Closes the connection, and refuses further requests.
    func close() {
        isClosed = true
        connection?.close()
        connection = nil
        opening?.close()
    }

    // MARK: One request at a time

    private func begin() async throws(RequestFailure) -> NIODeadline {
        let deadline = NIODeadline.now() + configuration.requestTimeout
        guard !isClosed else { throw .store(Self.closed) }
        guard waiting.count < EtcdLimits.waitingRequests else {
            throw .store(.unreachable("\(endpoint): \(waiting.count) requests wait for an answer"))
        }
        if isBusy {
            // The request before has an earlier deadline, so the turn comes in time.
            await withCheckedContinuation { waiting.append($0) }
        } else {
            isBusy = true
        }
        return deadline
    }

    private func end() {
        if waiting.isEmpty {
            isBusy = false
        } else {
            waiting.removeFirst().resume()
        }
    }

    // MARK: Endpoints

    private static let closed = StoreFailure.unreachable("the store is closed")

    private var endpoint: EtcdEndpoint { configuration.endpoints[current] }

    private func useNextEndpoint() {
        connection?.close()
        connection = nil
        current = (current + 1) % configuration.endpoints.count
    }

    /// Tries each endpoint once, beginning with the one in use. An attempt has an equal share of the time that is left.
    private func tryEndpoints<Value>(
        until deadline: NIODeadline,
        _ attempt: (NIODeadline) async -> Attempt<Value>
    ) async throws(RequestFailure) -> (Value, isRepeated: Bool) {
        var attempts = configuration.endpoints.count
        var (isRepeated, hasRenewed) = (false, false)
        var failure = StoreFailure.unreachable("\(endpoint): no time was left behind other requests")
        while attempts > 0 {
            guard !isClosed else { throw .store(Self.closed) }
            let now = NIODeadline.now()
            guard now < deadline else { break }
            switch await attempt(now + .nanoseconds((deadline - now).nanoseconds / Int64(attempts))) {
            case .done(let value):
                return (value, isRepeated)
            case .failed(let reason, let wasSent, let isOld):
                isRepeated = isRepeated || wasSent
                connection?.close()
                connection = nil
                if isOld { continue }
                failure = reason.failure(of: endpoint)
            case .rejected(let rejection):
                switch rejection.kind {
                case .token where canRenew && !hasRenewed, .forbidden where canRenew && !hasRenewed:
                    // For an unknown token some releases answer that the watch is not permitted.
                    (login, hasRenewed) = (.none, true)
                    continue
                case .temporary:
                    isRepeated = true
                    failure = rejection.failure(of: endpoint)
                default:
                    throw .rejected(rejection, endpoint)
                }
            }
            attempts -= 1
            useNextEndpoint()
        }
        throw .store(isClosed ? Self.closed : failure)
    }

    private func exchange(_ request: EtcdRequest, until deadline: NIODeadline) async -> Attempt<EtcdResponse> {
        let isOld = connection?.isOpen == true
        var wasSent = false
        do throws(ConnectionFailure) {
            if let rejection = try await logIn(until: deadline) { return .rejected(rejection) }
            let connection = try await connected(until: deadline)
            let bytes = try bytes(of: request)
            wasSent = true
            let response = try await connection.exchange(bytes, until: deadline)
            guard response.status == 200 else { return .rejected(rejection(response)) }
            return .done(response)
        } catch {
            return .failed(error, wasSent: wasSent, isOld: isOld && error.kind == .closed)
        }
    }

    private func openWatch(
        _ request: EtcdRequest,
        until deadline: NIODeadline
    ) async -> Attempt<(EtcdStream, WatchAnswer)> {
        let isOld = connection?.isOpen == true && needsLogin
        do throws(ConnectionFailure) {
            if let rejection = try await logIn(until: deadline) { return .rejected(rejection) }
            let bytes = try bytes(of: request)
            let connection = try await open(until: deadline)
            let timer = connection.limit(until: deadline)
            opening = connection
            defer {
                timer.cancel()
                opening = nil
            }
            do throws(ConnectionFailure) {
                connection.send(bytes)
                var stream = EtcdStream(connection)
                if let refusal = try await stream.refusal() {
                    connection.close()
                    return .rejected(rejection(refusal))
                }
                let answer: WatchAnswer
                switch try await stream.next(WatchAnswer.self) {
                case .success(let first): answer = first
                case .failure(let reason):
                    connection.close()
                    return .rejected(Rejection(reason, hiding: secrets))
                }
                guard answer.canceled != true || answer.compactRevision?.value ?? 0 > 0 else {
                    connection.close()
                    return .rejected(Rejection(answer.cancellation, hiding: secrets))
                }
                return .done((stream, answer))
            } catch {
                connection.close()
                throw error
            }
        } catch {
            return .failed(error, wasSent: false, isOld: isOld && error.kind == .closed)
        }
    }

    /// The connection for requests, opened if there is none.
    private func connected(until deadline: NIODeadline) async throws(ConnectionFailure) -> EtcdConnection {
        if let connection, connection.isOpen { return connection }
        connection = nil
        let opened = try await open(until: deadline)
        connection = opened
        return opened
    }

    private func open(until deadline: NIODeadline) async throws(ConnectionFailure) -> EtcdConnection {
        let opened = try await EtcdConnection.open(endpoint, transport, until: deadline)
        guard !isClosed else {
            opened.close()
            throw .closed
        }
        return opened
    }

    // MARK: The user

    private var needsLogin: Bool {
        if case .none = login { configuration.user != nil } else { false }
    }

    private var canRenew: Bool {
        if case .none = login { false } else { configuration.user != nil }
    }

    private var token: String? {
        if case .token(let token) = login { token } else { nil }
    }

    private var secrets: [String] { [configuration.password, token ?? ""] }

    /// Gets a token, if there is a user and no token yet.
    ///
    /// - Returns: why there is none.
    private func logIn(until deadline: NIODeadline) async throws(ConnectionFailure) -> Rejection? {
        guard let user = configuration.user, needsLogin else { return nil }
        let request = EtcdRequest("/v3/auth/authenticate", LoginRequest(name: user, password: configuration.password))
        let response = try await connected(until: deadline).exchange(try bytes(of: request), until: deadline)
        guard response.status == 200 else {
            let rejection = rejection(response)
            guard rejection.kind == .withoutAuthentication else { return rejection }
            login = .needless
            return nil
        }
        guard let answer = JSONBytes.decoded(LoginAnswer.self, response.body.readableBytesView),
            let token = answer.token, !token.isEmpty, token.utf8.count <= EtcdLimits.token
        else { throw ConnectionFailure(.malformed, "its answer to the login has no token") }
        login = .token(token)
        return nil
    }

    private func bytes(of request: EtcdRequest) throws(ConnectionFailure) -> ByteBuffer {
        do {
            return try request.serialized(for: endpoint, token: token)
        } catch {
            login = .none
            throw ConnectionFailure(.malformed, "its token cannot be sent: \(error)")
        }
    }

    private func rejection(_ response: EtcdResponse) -> Rejection {
        Rejection(status: response.status, body: response.body.readableBytesView, hiding: secrets)
    }
}
