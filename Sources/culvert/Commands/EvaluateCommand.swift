import ArgumentParser
import CSpawn
import Platform

/// `culvert evaluate-pac`: runs one proxy script for a client, which starts it (``ProxyScriptProcess``). Users do not
/// need it.
///
/// Standard input has a line with the URL, a line with the host, and the script. Standard output has the script's
/// answer. The process exits with 78 without an engine, and with 65 if the script has failed; standard error has the
/// reason. A script may crash this process, fill its memory or never end, and the client is not affected.
struct EvaluateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "evaluate-pac", shouldDisplay: false)

    /// Processor time, in seconds. 12: more than the parent waits, for a script that outlives the parent.
    static let processorSeconds = 12
    /// Seconds until the kernel ends the process.
    static let lifeSeconds = 15
    /// Bytes of address space. 512 MiB: the engine needs a small part of it.
    static let addressSpace = 1 << 29
    /// Bytes of standard input at most.
    private static let maximumInput = ProxyScriptProcess.maximumScript + 4_096

    func run() throws {
        culvert_renounce_privileges()
        culvert_close_from(STDERR_FILENO + 1)
        let request = try Self.standardInput().split(
            separator: UInt8(ascii: "\n"),
            maxSplits: 2,
            omittingEmptySubsequences: false
        )
        guard request.count == 3 else { throw Failure(.badData, "standard input has no request") }
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
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = chunk.withUnsafeMutableBytes { read(STDIN_FILENO, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return bytes }
            bytes += chunk[..<count]
            guard bytes.count <= maximumInput else { throw Failure(.badData, "standard input is too long") }
        }
    }

    /// Sets limits that stop a script even if its parent is gone.
    private static func limitResources() {
        // A silent name server must not use up the script's time: 2 s for each name server, not 10 s.
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
            // If the system refuses a limit, the parent's timeout and the other limits hold.
            #if canImport(Glibc)
            _ = setrlimit(__rlimit_resource_t(resource.rawValue), &limit)
            #else
            _ = setrlimit(resource, &limit)
            #endif
        }
    }
}
