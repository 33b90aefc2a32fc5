import ArgumentParser
import Foundation

/// Ends the processes of a trial if the runner was killed and could not do so.
struct OrphanReaper: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "keeper", shouldDisplay: false)

    @Argument var processes: [Int32]

    func run() {
        let runner = getppid()
        let kept = processes.map { ($0, ProcessUsage.start(of: $0)) }
        while getppid() == runner { Clock.sleep(until: Clock.seconds + 0.5) }
        // The signal must not reach another process with the same number.
        for (pid, start) in kept where start != nil && ProcessUsage.start(of: pid) == start { kill(pid, SIGKILL) }
    }
}
