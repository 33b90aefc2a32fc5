import Cluster
import NIOCore

/// Asking all other servers for their clients, within bounds of time and memory.
extension ClusterClients {
    /// Servers that are asked at a time. 16: their answers are in memory together.
    package static let questionsAtATime = 16
    /// Time for one server. 3 s: a server that answers later is not well.
    package static let timeout = TimeAmount.seconds(3)
    /// Time for all servers. 8 s: the operator's command waits 10 s.
    package static let timeoutOfAll = TimeAmount.seconds(8)
    /// Bytes of the answer of one server. 4 MiB: about ten thousand clients.
    package static let answerBytes = 4 << 20
    /// Bytes of all answers. 16 MiB: the operator's command reads 64 MiB, with line ends and indents.
    package static let allBytes = 16 << 20
    /// Questions of other servers that are answered at a time. 16.
    package static let answersAtATime = 16

    /// The answers of servers, in the given order.
    ///
    /// - Parameters:
    ///   - time: the time for all of them.
    ///   - ask: asks one server within a time.
    static func answers(
        of servers: [ServerRecord],
        within time: TimeAmount = timeoutOfAll,
        _ ask: @escaping @Sendable (ServerRecord, TimeAmount) async -> Result<[UInt8], PeerFailure>
    ) async -> [ClusterServerClients] {
        let end = NIODeadline.now() + time
        var waiting = servers[...]
        var answers: [ServerID: ClusterServerClients] = [:]
        var room = allBytes
        await withTaskGroup(of: (ServerRecord, Result<[UInt8], PeerFailure>).self) { group in
            func askNext() {
                guard let server = waiting.popFirst() else { return }
                group.addTask {
                    let time = min(timeout, end - .now())
                    guard time > .zero else { return (server, .failure(PeerFailure("there was no time to ask it"))) }
                    return (server, await ask(server, time))
                }
            }
            for _ in 0..<questionsAtATime { askNext() }
            for await (server, answer) in group {
                answers[server.id] = read(answer, of: server, &room)
                askNext()
            }
        }
        return servers.compactMap { answers[$0.id] }
    }

    private static func read(
        _ answer: Result<[UInt8], PeerFailure>,
        of server: ServerRecord,
        _ room: inout Int
    ) -> ClusterServerClients {
        switch answer {
        case .failure(let failure):
            return ClusterServerClients(server, problem: failure.description)
        case .success(let bytes):
            guard bytes.count <= room else {
                return ClusterServerClients(server, problem: "the answers of other servers leave no room for its own")
            }
            room -= bytes.count
            guard let clients = try? HomeClients(bytes) else {
                return ClusterServerClients(server, problem: "its answer cannot be read")
            }
            return ClusterServerClients(server, clients)
        }
    }
}
