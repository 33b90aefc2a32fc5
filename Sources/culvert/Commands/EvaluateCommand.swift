import ArgumentParser
import CSpawn
import Platform

/// `culvert evaluate-pac`: runs one proxy script, for a client that has started it (``ProxyScriptProcess``). No command
/// for people.
///
/// Standard input is a line with the URL, one with the host, and the script; standard output its answer. It ends with 78
/// where there is no engine, with 65 where the script has failed; the reason is on standard error then. A script may
/// crash it, or fill the memory that it may have, or never end: that is what it is for.
struct EvaluateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "evaluate-pac", shouldDisplay: false)

    /// Processor time, in seconds. 12: more than the parent waits, for a script that outlives it.
    static let processorSeconds = 12
    /// Seconds until the process ends, whatever it does.
    static let lifeSeconds = 15
    /// Bytes of address space. 512 MiB: the engine needs a small part of it.
    static let addressSpace = 1 << 29
    /// Bytes of standard input at most.
    private static let longestInput = ProxyScriptProcess.longestScript + 4_096

    func run() throws {
        culvert_renounce_privileges()
        culvert_close_from(STDERR_FILENO + 1)
        let request = try Self.standardInput().split(
            separator: UInt8(ascii: "\n"),
            maxSplits: 2,
            omittingEmptySubsequences: false
        )
        guard request.count == 3 else { throw Failure(.badData, "standard input holds no request") }
        Self.limitResources()
        guard let engine = PacparserEngine() else { throw Failure(.configuration, "there is no pacparser") }
        let answer = engine.answer(
            of: Array(request[2]),
            url: String(decoding: request[0], as: UTF8.self),
            host: String(decoding: request[1], as: UTF8.self)
        )
        guard let answer else { throw Failure(.badData, "the script has failed") }
        Output.bytes(answer)
    }

    private static func standardInput() throws(Failure) -> [UInt8] {
        var bytes: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = piece.withUnsafeMutableBytes { read(STDIN_FILENO, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return bytes }
            bytes += piece[..<count]
            guard bytes.count <= longestInput else { throw Failure(.badData, "standard input is too long") }
        }
    }

    /// What stops a script also where nobody is left to stop it.
    private static func limitResources() {
        // A name server that is silent must not use up a script's time: two seconds, not ten, for each of them.
        setenv("RES_OPTIONS", "timeout:2 attempts:1", 0)
        signal(SIGALRM, SIG_DFL)
        alarm(UInt32(lifeSeconds))
        #if canImport(Glibc)
        let limits: [(__rlimit_resource, rlim_t)] = [
            (RLIMIT_CPU, rlim_t(processorSeconds)), (RLIMIT_AS, rlim_t(addressSpace)), (RLIMIT_CORE, 0),
            (RLIMIT_FSIZE, 0),
        ]
        #else
        let limits: [(Int32, rlim_t)] = [
            (RLIMIT_CPU, rlim_t(processorSeconds)), (RLIMIT_AS, rlim_t(addressSpace)), (RLIMIT_CORE, 0),
            (RLIMIT_FSIZE, 0),
        ]
        #endif
        for (resource, value) in limits {
            var limit = rlimit(rlim_cur: value, rlim_max: value)
            // Where one is refused, the parent's patience and the other limits hold.
            #if canImport(Glibc)
            _ = setrlimit(__rlimit_resource_t(resource.rawValue), &limit)
            #else
            _ = setrlimit(resource, &limit)
            #endif
        }
    }
}
