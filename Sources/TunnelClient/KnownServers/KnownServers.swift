import Seal
import Synchronization

/// The keys of the servers that a client has met, in the file `known_servers`.
///
/// The file is read anew at each question, so that a key which another process has added counts at once. It has at most
/// 1 MiB. ``KnownServerList`` describes its lines.
///
/// A file that cannot be used does not end the client. Keys then come from the last reading that worked and from this
/// run, and ``takeProblem()`` has the reason.
///
/// The methods read and write a small file, and wait up to 100 ms for the lock of another process. Any thread may call
/// them.
public final class KnownServers: Sendable {
    /// The keys that are kept in memory because the file took none. 1,000: a client has few servers.
    static let maximumKept = 1_000

    /// The file's path.
    public let path: String

    private let file: KnownServersFile
    private let isReadOnly: Bool
    private let state = Mutex(State())

    /// What went wrong, of which each kind is reported on its own.
    private enum ProblemKind {
        case reading, line, writing
    }

    private struct State {
        /// The content at the last reading that worked.
        var list = KnownServerList()
        /// The keys of this run that the file did not take.
        var kept = KnownServerList()
        var keptCount = 0
        var problems: [ProblemKind: (text: String, isTaken: Bool)] = [:]

        mutating func note(_ kind: ProblemKind, _ text: String?) {
            guard problems[kind]?.text != text else { return }
            problems[kind] = text.map { ($0, false) }
        }

        func keys(of authority: String) -> [ServerPublicKey] {
            let keys = list.keys(of: authority)
            return keys + kept.keys(of: authority).filter { !keys.contains($0) }
        }

        /// Keeps the key of an unknown server for this run.
        ///
        /// - Returns: false if the server is known with other keys.
        mutating func keep(_ key: ServerPublicKey, of authority: String) -> Bool {
            let known = keys(of: authority)
            guard known.isEmpty else { return known.contains(key) }
            guard keptCount < KnownServers.maximumKept else { return true }
            kept.insert(key, of: authority)
            keptCount += 1
            return true
        }
    }

    /// - Parameters:
    ///   - path: the file, which may not exist yet.
    ///   - isReadOnly: whether keys are remembered for this run only, as for a check.
    public init(path: String, isReadOnly: Bool = false) {
        self.path = path
        self.isReadOnly = isReadOnly
        file = KnownServersFile(path: path)
    }

    /// The keys that are right for a server; empty if it is unknown.
    ///
    /// - Parameter authority: `HOST:PORT`, also for the default port, with an IPv6 address in brackets.
    public func keys(of authority: String) -> [ServerPublicKey] {
        state.withLock { state in
            read(&state)
            return state.keys(of: authority)
        }
    }

    /// Whether a line of a server is malformed, so that its key is not known any more.
    ///
    /// - Parameter authority: as for ``keys(of:)``.
    public func isDamaged(_ authority: String) -> Bool {
        state.withLock { state in
            read(&state)
            return state.list.isDamaged(authority)
        }
    }

    /// Remembers the key of a server that was unknown until now.
    ///
    /// - Parameter authority: as for ``keys(of:)``.
    /// - Returns: false if the server has become known with other keys meanwhile, for instance by another process. The
    ///   key is then not remembered, and is not the server's.
    @discardableResult
    public func remember(_ key: ServerPublicKey, of authority: String) -> Bool {
        state.withLock { state in
            guard !isReadOnly else {
                read(&state)
                return state.keep(key, of: authority)
            }
            do throws(KnownServersFile.Unusable) {
                let outcome = try file.append(key, of: authority)
                state.note(.writing, nil)
                return outcome == .isThere
            } catch {
                state.note(.writing, "the server's key is remembered for this run only: \(error.reason)")
                return state.keep(key, of: authority)
            }
        }
    }

    /// A problem of the file for the log, with its path; nil if there is none, or if it has been taken before.
    ///
    /// A problem that has ended and comes back is given again.
    public func takeProblem() -> String? {
        state.withLock { state in
            for kind in [ProblemKind.reading, .line, .writing] {
                guard let problem = state.problems[kind], !problem.isTaken else { continue }
                state.problems[kind]?.isTaken = true
                return "\(path): \(problem.text)"
            }
            return nil
        }
    }

    private func read(_ state: inout State) {
        do throws(KnownServersFile.Unusable) {
            state.list = try file.read()
            state.note(.reading, nil)
            state.note(.line, Self.words(state.list.malformedLines))
        } catch {
            state.note(.reading, "\(error.reason); new keys in it do not count")
        }
    }

    /// The problem of malformed lines; nil without one.
    private static func words(_ lines: [Int]) -> String? {
        guard let first = lines.first else { return nil }
        let others = lines.count > 1 ? " and \(lines.count - 1) more" : ""
        return "line \(first)\(others): expected HOST:PORT and a key, as `culvert key` prints it; left out"
    }
}
